/// A value that can be an argument of a Redis command.
///
/// Redis takes bytes: text goes as UTF-8, an integer as its decimal digits.
package protocol RedisArgument {
    /// Appends the argument's bytes.
    func write(into bytes: inout [UInt8])
}

/// Arguments in one flat buffer, so that a command of a thousand arguments costs a few allocations.
///
/// ```swift
/// var arguments: RedisArguments = ["MAXLEN", 1000]
/// arguments.append(payload)
/// ```
package struct RedisArguments: Sendable {
    private var bytes: [UInt8] = []
    private var lengths: [Int] = []

    /// How many arguments there are.
    package var count: Int { lengths.count }

    /// Makes an empty list.
    package init() {}

    /// Makes a list of one kind of value.
    package init(_ values: some Sequence<some RedisArgument>) {
        append(contentsOf: values)
    }

    /// Appends one argument.
    package mutating func append(_ value: some RedisArgument) {
        let start = bytes.count
        value.write(into: &bytes)
        lengths.append(bytes.count - start)
    }

    /// Appends a text: most arguments are, and a generic call costs more than the copying.
    package mutating func append(_ text: String) {
        let start = bytes.count
        bytes.append(contentsOf: text.utf8)
        lengths.append(bytes.count - start)
    }

    /// Appends each value as an argument of its own.
    package mutating func append(contentsOf values: some Sequence<some RedisArgument>) {
        for value in values { append(value) }
    }

    /// Appends the arguments of another list.
    package mutating func append(contentsOf other: RedisArguments) {
        bytes.append(contentsOf: other.bytes)
        lengths.append(contentsOf: other.lengths)
    }

    /// Removes all arguments, and keeps the room that they had.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
    }

    /// The bytes of one argument.
    ///
    /// - Complexity: O(*index*).
    func bytes(at index: Int) -> ArraySlice<UInt8> {
        let start = lengths[..<index].reduce(0, +)
        return bytes[start..<(start + lengths[index])]
    }

    /// Calls `body` with C's `argv` and the lengths beside it, both valid during the call only.
    func withArgv<Result>(
        _ body: (UnsafeMutableBufferPointer<UnsafePointer<CChar>?>, UnsafePointer<Int>?) -> Result
    ) -> Result {
        bytes.withUnsafeBytes { buffer in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: lengths.count) { argv in
                var next = buffer.assumingMemoryBound(to: CChar.self).baseAddress
                for (index, length) in lengths.enumerated() {
                    argv.initializeElement(at: index, to: next)
                    next = next?.advanced(by: length)
                }
                return lengths.withUnsafeBufferPointer { body(argv, $0.baseAddress) }
            }
        }
    }
}

extension RedisArguments: ExpressibleByArrayLiteral {
    package init(arrayLiteral elements: any RedisArgument...) {
        for element in elements { append(element) }
    }
}

extension String: RedisArgument {
    package func write(into bytes: inout [UInt8]) { bytes.append(contentsOf: utf8) }
}

extension Substring: RedisArgument {
    package func write(into bytes: inout [UInt8]) { bytes.append(contentsOf: utf8) }
}

extension Array: RedisArgument where Element == UInt8 {
    package func write(into bytes: inout [UInt8]) { bytes.append(contentsOf: self) }
}

extension ArraySlice: RedisArgument where Element == UInt8 {
    package func write(into bytes: inout [UInt8]) { bytes.append(contentsOf: self) }
}

extension RedisArgument where Self: FixedWidthInteger {
    package func write(into bytes: inout [UInt8]) { bytes.append(contentsOf: String(self).utf8) }
}

extension Int: RedisArgument {}
extension Int32: RedisArgument {}
extension Int64: RedisArgument {}
extension UInt32: RedisArgument {}
extension UInt64: RedisArgument {}
