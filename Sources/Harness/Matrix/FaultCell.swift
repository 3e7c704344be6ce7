/// One cell of the fault matrix: a point in a process's life, and what happens to the process there.
package struct FaultCell: Hashable, Sendable, CustomStringConvertible {
    package enum Action: String, CaseIterable, Sendable {
        /// SIGKILL; another process goes on.
        case kill
        /// SIGSTOP until others have taken over and applied everything, then SIGCONT.
        case stop
        /// All of its connections break; it goes on by itself.
        case droplink
    }

    /// What has to be going on for the process to pass the point.
    package enum Scene: Hashable, Sendable {
        /// The process submits; other submitters are given the same changes.
        case submitting
        /// A worker of one of these groups serves, beside another one.
        case serving([String])
        /// As ``serving(_:)``, while another session holds the rows that the worker's statement needs.
        case servingLockedRows
        /// A worker starts where another one was killed at its work.
        case takingOver
        /// Redis is killed; a worker opens the log.
        case opening
    }

    package let point: String
    package let scene: Scene
    package let action: Action

    package var description: String { "\(name) × \(action)" }

    /// The point, and under what circumstances when there are others.
    package var name: String { scene == .servingLockedRows ? "\(point) (row locked)" : point }

    /// The groups whose workers meet the fault by turns.
    package var groups: [String] {
        switch scene {
        case .serving(let groups): groups
        case .takingOver: StoreContents.groups
        case .submitting, .servingLockedRows, .opening: ["postgres"]
        }
    }

    /// Whether somebody must be refused by token when the process is woken: it stands behind all checks of its lease.
    package var mustBeRefused: Bool {
        action == .stop && ["beforeBegin", "beforeScript"].contains(point)
    }

    /// All cells, by point.
    package static let all: [FaultCell] = scenes.flatMap { points, scene in
        points.flatMap { point in Action.allCases.map { FaultCell(point: point, scene: scene, action: $0) } }
    }

    /// Each point once, the actions by turns, beginning with another one for another seed; and each time those in which
    /// somebody must be refused: without a zombie that was refused, nothing was tested.
    package static func subset(_ seed: UInt64) -> [FaultCell] {
        let count = Action.allCases.count
        return all.enumerated().filter { index, cell in
            cell.mustBeRefused || (index / count + Int(seed % 3)) % count == index % count
        }.map(\.element)
    }

    private static let scenes: [([String], Scene)] = [
        (["beforeSend", "afterSend", "afterReply", "afterWait"], .submitting),
        (["afterRead"], .serving(StoreContents.groups)),
        (["beforeBegin", "commitSent", "afterCommit", "beforeAck", "ackSent", "afterAck"], .serving(["postgres"])),
        (["commitSent"], .servingLockedRows),
        (["beforeScript", "scriptSent", "afterScript"], .serving(["stock", "delivery"])),
        (["afterLease", "afterFence", "afterReclaim"], .takingOver),
        (["afterReserve", "afterCompare", "afterHeal", "beforeConfirm"], .opening),
    ]
}
