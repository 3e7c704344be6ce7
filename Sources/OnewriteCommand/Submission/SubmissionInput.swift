import ChangeInput
import Compression
import Foundation
import OrderLog
import ThreadedIO

/// What is submitted: a file or standard input, read once or twice.
final class SubmissionInput {
    /// What people call it.
    let name: String
    let descriptor: Int32
    /// In bytes; nil for a pipe.
    let size: Int?
    private let ownsDescriptor: Bool
    /// Where it begins: somebody may have read a part of standard input already.
    private let start: off_t
    /// What reads it, when it is compressed.
    private var decompressor: Decompressor?
    /// Whether what is read is longer than what it is read from; known once something was read.
    var isCompressed: Bool { decompressor != nil }
    /// What was read from the descriptor since it began.
    private(set) var bytesRead = 0
    /// Its first bytes, until they tell whether it is compressed; nil then.
    private var beginning: [UInt8]? = []

    private init(name: String, descriptor: Int32, ownsDescriptor: Bool) {
        self.name = name
        self.descriptor = descriptor
        self.ownsDescriptor = ownsDescriptor
        var status = stat()
        let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        start = isFile ? max(0, lseek(descriptor, 0, SEEK_CUR)) : 0
        size = isFile ? max(0, Int(status.st_size) - Int(start)) : nil
    }

    /// Opens an input.
    ///
    /// - Parameter path: A file's, or `-`.
    /// - Throws: ``Failure`` that names the file.
    convenience init(path: String) throws {
        if path == "-" {
            self.init(name: "standard input", descriptor: STDIN_FILENO, ownsDescriptor: false)
            return
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.unreadable(path, errno) }
        self.init(name: path, descriptor: descriptor, ownsDescriptor: true)
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { throw Self.unreadable(path, EISDIR) }
    }

    deinit {
        if ownsDescriptor { close(descriptor) }
    }

    /// The same input in a form that can be read twice: a pipe is copied to a temporary file without a name.
    func repeatable(_ stop: StopRequest) throws -> SubmissionInput {
        guard size == nil else { return self }
        let directory = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        var template = Array("\(directory)/onewrite-XXXXXX".utf8CString)
        let copy = mkstemp(&template)
        guard copy >= 0 else {
            throw Failure(
                .noInput, "no temporary file can be made in \(directory): \(String(cString: strerror(errno)))")
        }
        unlink(template)
        var isKept = false
        defer { if !isKept { close(copy) } }
        let source = storedBytes(stop) {}
        while let chunk = try source() {
            guard chunk.isWritten(to: copy) else {
                throw Failure(.noInput, "\(name) can't be kept in \(directory): \(String(cString: strerror(errno)))")
            }
        }
        lseek(copy, 0, SEEK_SET)
        isKept = true
        return SubmissionInput(name: name, descriptor: copy, ownsDescriptor: true)
    }

    /// Looks whether what is compressed is whole, before any of it is submitted: the checksum stands behind it.
    ///
    /// A pipe can't be read twice.
    ///
    /// - Throws: ``InputError/damaged(_:)``.
    func verify(_ stop: StopRequest) throws(InputError) {
        guard size != nil else { return }
        let source = bytes(stop) {}
        while try source() != nil, isCompressed {}
        rewind()
    }

    func rewind() {
        lseek(descriptor, start, SEEK_SET)
        (decompressor, bytesRead, beginning) = (nil, 0, [])
    }

    /// A source for ``ChangeReader``: what is compressed is read as it was before.
    ///
    /// - Parameters:
    ///   - stop: Ends the waiting.
    ///   - beforeWaiting: Called when nothing can be read at this moment: what was read so far must not wait too.
    /// - Returns: The source; it throws when it was stopped, so that nothing is taken for whole that was cut off.
    func bytes(
        _ stop: StopRequest, beforeWaiting: @escaping () throws(InputError) -> Void
    ) -> () throws(InputError) -> [UInt8]? {
        let stored = storedBytes(stop, beforeWaiting: beforeWaiting)
        return { [self] () throws(InputError) in
            while var known = beginning {
                let chunk = try stored()
                known += chunk ?? []
                beginning = known
                if chunk != nil, Decompressor.Format.isUndecided(known) { continue }
                beginning = nil
                guard let format = Decompressor.Format(beginning: known) else { return known.isEmpty ? nil : known }
                let decompressor = Decompressor(format)
                decompressor.take(known)
                self.decompressor = decompressor
            }
            guard let decompressor else { return try stored() }
            while true {
                if let piece = try intact({ () throws(Decompressor.Failure) in try decompressor.read() }) {
                    return piece
                }
                guard let chunk = try stored() else {
                    try intact { () throws(Decompressor.Failure) in try decompressor.finish() }
                    return nil
                }
                decompressor.take(chunk)
            }
        }
    }

    private func intact<Value>(
        _ work: () throws(Decompressor.Failure) -> Value
    ) throws(InputError) -> Value {
        do throws(Decompressor.Failure) { return try work() } catch { throw .damaged(error.description) }
    }

    /// What stands in the file or comes through the pipe.
    private func storedBytes(
        _ stop: StopRequest, beforeWaiting: @escaping () throws(InputError) -> Void
    ) -> () throws(InputError) -> [UInt8]? {
        let source = DescriptorSource(descriptor)
        return { [self] () throws(InputError) in
            if stop.isRequested { throw .unreadable(errno: EINTR) }
            if wait(for: .reading, on: descriptor, until: Deadline(.now), interrupt: nil) != .ready {
                try beforeWaiting()
                while !stop.isRequested,
                    wait(for: .reading, on: descriptor, until: .after(.seconds(3600)), interrupt: stop.interrupt)
                        == .timedOut
                {}
                if stop.isRequested { throw .unreadable(errno: EINTR) }
            }
            let chunk = try source.read()
            bytesRead += chunk?.count ?? 0
            return chunk
        }
    }

    /// Tells a ``ChangeReader`` whether more comes in time.
    func isReady(_ stop: StopRequest) -> (ContinuousClock.Instant) -> Bool {
        { [self] moment in
            // Who was asked to stop hears of it by reading.
            decompressor?.hasMore == true
                || wait(for: .reading, on: descriptor, until: Deadline(moment), interrupt: stop.interrupt) != .timedOut
        }
    }

    /// Makes a failure of what ends an input.
    func failure(_ error: InputError) -> Failure {
        switch error {
        case .unreadable(let number): Self.unreadable(name, number)
        case .damaged(let message): Failure(.badRows, "\(name) can't be read: \(message)")
        case .header(let message): Failure(.badRows, "\(name), line 1: \(message)")
        }
    }

    private static func unreadable(_ name: String, _ number: Int32) -> Failure {
        Failure(.noInput, "\(name) can't be read: \(String(cString: strerror(number)))")
    }
}
