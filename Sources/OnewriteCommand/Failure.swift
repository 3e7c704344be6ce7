import Connections
import Harness
import Inspection

/// The exit codes of the contract.
enum ExitStatus: Int32 {
    /// The answer is no: not found, refused, different.
    case no = 1
    case usage = 64
    case badRows = 65
    case noInput = 66
    case unreachable = 69
    case bug = 70
    case tryAgain = 75
    case notPermitted = 77
    case badConfiguration = 78
}

/// Why a command ends without having done what was asked: one line for people, and an exit code.
struct Failure: Error, CustomStringConvertible {
    let status: ExitStatus
    /// What happened, why, and what to do next.
    ///
    /// Empty when everything has been said already.
    let message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    var description: String { message }

    /// Makes a failure of the errors that the parts below throw; nil for the argument parser's own.
    init?(_ error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as WrongQuestion: self.init(.usage, error.message)
        case let error as HarnessError:
            if case .notInTime = error { self.init(.tryAgain, "\(error)") } else { self.init(.bug, "\(error)") }
        default:
            guard let error = LogError(anyOf: error) else { return nil }
            self.init(error)
        }
    }

    private init(_ error: LogError) {
        let status: ExitStatus =
            switch error.kind {
            case .no: .no
            case .unreachable: .unreachable
            case .tryAgain: .tryAgain
            case .notPermitted: .notPermitted
            case .badConfiguration: .badConfiguration
            case .bug: .bug
            }
        self.init(status, error.message)
    }

    /// Whether a server knows who asks, and doesn't let them.
    var isMissingRight: Bool {
        status == .notPermitted && (message.contains("NOPERM") || message.contains("SQLSTATE 42501"))
    }

    func adding(_ text: String) -> Failure { Failure(status, message + text) }
}
