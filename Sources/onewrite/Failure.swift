import Harness
import OrderLog
import RedisClient
import RedisLog
import Sinks

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
        case let refusal as LogCreation.Refusal:
            switch refusal {
            case .partitions, .twoLogs: self.init(.badConfiguration, "\(refusal)")
            case .halted, .waiting, .contended: self.init(.tryAgain, "\(refusal)")
            }
        case let error as HarnessError:
            if case .notInTime = error { self.init(.tryAgain, "\(error)") } else { self.init(.bug, "\(error)") }
        case let error as RedisURLError: self.init(.badConfiguration, "the Redis URL (REDIS_URL): \(error)")
        default:
            guard let error = StoreError(anyOf: error) else { return nil }
            self.init(error)
        }
    }

    private init(_ error: StoreError) {
        let status: ExitStatus =
            switch error.kind {
            case .unavailable, .busy: .unreachable
            case .notPermitted: .notPermitted
            case .interrupted, .refused, .groupMissing: .tryAgain
            case .malformed, .misconfigured, .replica: .badConfiguration
            }
        self.init(status, error.message)
    }
}
