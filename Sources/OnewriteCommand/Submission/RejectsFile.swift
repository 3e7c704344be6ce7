import ChangeInput
import Foundation
import OrderLog
import Submission

/// The file of refused rows: an NDJSON object each; or, when its name ends with `.csv` and the input is a CSV, a CSV.
final class RejectsFile {
    let path: String
    private let descriptor: Int32
    private var bytes: [UInt8] = []
    private var isBroken = false
    /// How rows are written as a CSV; nil for NDJSON.
    private var sheet: RejectedSheet?

    /// Makes the file empty.
    ///
    /// - Parameters:
    ///   - path: Where.
    ///   - input: The file that is read, which must be another.
    /// - Throws: ``Failure``.
    init(path: String, besides input: Int32) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw Failure(.usage, "--rejects: can't write \(path): \(String(cString: strerror(errno)))")
        }
        var (mine, theirs) = (stat(), stat())
        if fstat(descriptor, &mine) == 0, fstat(input, &theirs) == 0, mine.st_dev == theirs.st_dev,
            mine.st_ino == theirs.st_ino
        {
            throw Failure(.usage, "--rejects: \(path) is the input itself")
        }
        // Only now: the input would have been emptied. A pipe or terminal can't be, and needn't.
        _ = ftruncate(descriptor, 0)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    private(set) var hasBegun = false
    /// Where the orders begin that are in the sheet.
    private var writtenLines: Set<Int> = []

    /// Takes how a CSV is written, once its header is read; nil for an input that is none.
    func begin(_ sheet: RejectedSheet?) {
        hasBegun = true
        guard path.lowercased().hasSuffix(".csv"), let sheet else { return }
        self.sheet = sheet
        bytes += sheet.header
    }

    /// Writes down what was refused.
    ///
    /// - Parameters:
    ///   - problem: Why.
    ///   - id: Its ID, if it has one.
    ///   - line: Where it begins in the input. An export's order and its cancellation are the same rows.
    ///   - input: Its rows.
    func write(_ problem: RowError, id: String?, from line: Int?, input: [UInt8]) {
        defer { if bytes.count >= 64 * 1024 { flush() } }
        if let sheet {
            if let line, !writtenLines.insert(line).inserted { return }
            bytes += sheet.rows(input, reason: problem.description)
            return
        }
        var json = JSONLine()
        json.add("line", Int64(problem.line))
        json.add("field", problem.error.field)
        json.add("error", problem.error.message)
        if let id { json.add("id", id) }
        json.add("input", String(decoding: input, as: UTF8.self))
        bytes.append(contentsOf: (json.text + "\n").utf8)
    }

    /// Writes what is left.
    ///
    /// A full disk is told once; the submission goes on.
    func flush() {
        defer { bytes.removeAll(keepingCapacity: true) }
        guard !bytes.isEmpty, !isBroken, !bytes.isWritten(to: descriptor) else { return }
        isBroken = true
        Console.error("warning: --rejects: can't write \(path): \(String(cString: strerror(errno)))")
    }
}
