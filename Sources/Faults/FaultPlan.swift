#if DEBUG
import Glibc
import Synchronization

/// What this process was told to do by `ONEWRITE_FAULT`.
package final class FaultPlan: Sendable {
    package enum Action: Hashable, Sendable {
        case kill, stop, error, droplink
        case delay(milliseconds: UInt32)
    }

    package struct Fault: Hashable, Sendable {
        package let point: FaultPoint
        package let action: Action
        /// At which pass, from 1.
        package let nth: Int
    }

    /// An unreadable plan tests nothing: the program ends.
    static let current: FaultPlan? = getenv("ONEWRITE_FAULT").map { text in
        let text = String(cString: text)
        guard let faults = parse(text) else {
            say("ONEWRITE_FAULT=\(text): expected <point>:kill|stop|error|droplink|delay=<1-60000>ms:<nth>, …")
            exit(64)
        }
        return FaultPlan(faults)
    }

    /// The formats of a log that this process is to know, by `ONEWRITE_FAULT_FORMATS`; nil for all that it does know.
    static let formats: ClosedRange<Int>? = getenv("ONEWRITE_FAULT_FORMATS").map { text in
        let text = String(cString: text)
        guard let formats = parse(formats: text) else {
            say("ONEWRITE_FAULT_FORMATS=\(text): expected <first>-<last>")
            exit(64)
        }
        return formats
    }

    let links = ServerLinks()
    private let faults: [Fault]
    private let passes = Mutex<[FaultPoint: Int]>([:])

    init(_ faults: [Fault]) {
        self.faults = faults
    }

    /// The faults that a value of the variable asks for; nil when it can't be read.
    package static func parse(_ text: String) -> [Fault]? {
        var faults: [Fault] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: ":", omittingEmptySubsequences: false)
            guard words.count == 3, let point = FaultPoint(rawValue: String(words[0])),
                let action = Action(String(words[1])), let nth = Int(words[2]), nth > 0
            else { return nil }
            faults.append(Fault(point: point, action: action, nth: nth))
        }
        return faults
    }

    /// The formats that a value of the variable names, such as `1-1`; nil when it can't be read.
    package static func parse(formats text: String) -> ClosedRange<Int>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first >= 1, first <= last else { return nil }
        return first...last
    }

    func pass(_ point: FaultPoint) throws(InjectedFault) {
        let pass = passes.withLock {
            $0[point, default: 0] += 1
            return $0[point]
        }
        for fault in faults where fault.point == point && fault.nth == pass {
            // A run in which it doesn't show tested nothing.
            Self.say("fault: \(point):\(fault.action)")
            switch fault.action {
            // To this thread, which goes no further: a signal to the process may be taken by another one first.
            case .kill: raise(SIGKILL)
            case .stop: raise(SIGSTOP)
            case .error: throw InjectedFault(point: point)
            case .delay(let milliseconds): usleep(milliseconds * 1000)
            case .droplink: links.shutDown()
            }
        }
    }

    private static func say(_ line: String) {
        var line = "\(line)\n"
        line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

extension FaultPlan.Action {
    init?(_ text: String) {
        switch text {
        case "kill": self = .kill
        case "stop": self = .stop
        case "error": self = .error
        case "droplink": self = .droplink
        default:
            guard text.hasPrefix("delay="), text.hasSuffix("ms"),
                let milliseconds = UInt32(text.dropFirst(6).dropLast(2)), (1...60_000).contains(milliseconds)
            else { return nil }
            self = .delay(milliseconds: milliseconds)
        }
    }
}

/// The sockets of this process's connections to servers.
final class ServerLinks: Sendable {
    private let descriptors = Mutex<Set<Int32>>([])

    func add(_ descriptor: Int32) {
        descriptors.withLock { _ = $0.insert(descriptor) }
    }

    func remove(_ descriptor: Int32) {
        descriptors.withLock { _ = $0.remove(descriptor) }
    }

    func shutDown() {
        descriptors.withLock { descriptors in
            for descriptor in descriptors { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }
}
#endif
