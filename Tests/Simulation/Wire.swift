import OrderLog

/// A server that connections lead to.
class Endpoint {
    /// Rises when the server dies: no connection outlives it.
    var incarnation = 0
    fileprivate var wires: [Wire] = []

    /// Breaks some of the connections.
    func breakSome(_ schedule: Schedule) {
        for wire in wires where schedule.generator.chance(500) { wire.isBroken = true }
        wires.removeAll { $0.isBroken }
    }
}

/// A process's connection to a server: calls travel, and may be lost before or behind their effect.
final class Wire {
    private unowned let endpoint: Endpoint
    private let incarnation: Int
    private let store: StoreError.Store
    /// nil where nothing is simulated: each call has its effect at once.
    private let line: (schedule: Schedule, process: SimulatedProcess)?
    var isBroken = false

    init(_ endpoint: Endpoint, _ store: StoreError.Store, _ line: (schedule: Schedule, process: SimulatedProcess)?) {
        self.endpoint = endpoint
        self.store = store
        self.line = line
        incarnation = endpoint.incarnation
        endpoint.wires.append(self)
    }

    var isUp: Bool { !isBroken && endpoint.incarnation == incarnation }

    var unavailable: StoreError { StoreError(store, .unavailable, "the connection broke", outcomeIsUnknown: true) }

    /// Sends a request, has its effect, and brings the answer.
    ///
    /// - Parameter effect: One atomic step of the server.
    /// - Returns: What the server said.
    /// - Throws: ``StoreError``, also when the answer was lost: then it may have happened, or may still happen.
    func call<Result>(_ effect: @escaping () throws -> Result) async throws -> Result {
        guard let (schedule, process) = line else { return try effect() }
        await schedule.travel(process)
        if schedule.isOver { throw Killed() }
        guard isUp else {
            if process.isKilled { throw Killed() }
            throw unavailable
        }
        // What a killed process has sent may arrive all the same.
        if process.isKilled {
            if schedule.generator.chance(500) { arriveLate(effect, schedule) }
            throw Killed()
        }
        let breaks = schedule.isFaulty && schedule.generator.chance(6)
        if breaks {
            isBroken = true
            switch schedule.generator.below(3) {
            case 0: break
            case 1: _ = try effect()
            default: arriveLate(effect, schedule)
            }
            schedule.note("\(process.name): the connection to \(store.rawValue) broke")
            throw unavailable
        }
        let result = try effect()
        if schedule.isFaulty && schedule.generator.chance(300) {
            await schedule.travel(process)
            if process.isKilled || schedule.isOver { throw Killed() }
            guard isUp else { throw unavailable }
        }
        return result
    }

    private func arriveLate<Result>(_ effect: @escaping () throws -> Result, _ schedule: Schedule) {
        let (endpoint, incarnation) = (endpoint, incarnation)
        schedule.later {
            guard endpoint.incarnation == incarnation else { return }
            schedule.note("a late message arrives:")
            // Nobody waits for the answer, be it an error.
            do { _ = try effect() } catch { schedule.note("it is refused: \(error)") }
        }
    }
}
