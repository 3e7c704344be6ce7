import CHiredis
import CReplyArena

/// A reply of the server, or a part of one, decoded when it is looked at.
///
/// It is a view: the parts keep the whole alive, and hiredis' tree is freed with the last of them. Not sendable; decode
/// it into values of your own before they leave the actor.
///
/// Redis: <https://redis.io/docs/latest/develop/reference/protocol-spec/>
package struct RedisReply {
    /// The protocol's types, as far as RESP2 has them.
    package enum Kind: Sendable, Equatable {
        case string, status, integer, array, null, error
        /// A type of RESP3, which this client never asks for.
        case other
    }

    private let tree: ReplyTree
    private let node: UnsafePointer<redisReply>

    /// Takes a tree over from hiredis; it is freed with the last view of it.
    init(owning root: UnsafeMutablePointer<redisReply>) {
        self.init(tree: ReplyTree(root: root), node: root)
    }

    private init(tree: ReplyTree, node: UnsafePointer<redisReply>) {
        self.tree = tree
        self.node = node
    }

    /// Which type the server sent.
    package var kind: Kind {
        switch node.pointee.type {
        case REDIS_REPLY_STRING: .string
        case REDIS_REPLY_STATUS: .status
        case REDIS_REPLY_INTEGER: .integer
        case REDIS_REPLY_ARRAY: .array
        case REDIS_REPLY_NIL: .null
        case REDIS_REPLY_ERROR: .error
        default: .other
        }
    }

    /// Whether the server sent a null: nothing there, or a time-out of a blocking command.
    package var isNull: Bool { kind == .null }

    /// The number of an integer reply, nil for every other type.
    package var integer: Int64? { kind == .integer ? node.pointee.integer : nil }

    /// The text of a string or a status; nil for every other type, and for bytes that are not UTF-8.
    package var string: String? {
        hasText ? withBytes { String(validating: $0, as: UTF8.self) } : nil
    }

    /// The bytes of a string or a status; nil for every other type.
    package var bytes: [UInt8]? {
        hasText ? withBytes { [UInt8]($0) } : nil
    }

    /// The error that the server sent here, nil for every other type.
    package var error: RedisReplyError? {
        kind == .error ? RedisReplyError(text: withBytes { String(decoding: $0, as: UTF8.self) }) : nil
    }

    private var hasText: Bool { kind == .string || kind == .status }

    /// Calls `body` with the bytes of a string, a status or an error, in place; with none for every other type.
    ///
    /// The buffer is valid during the call only.
    package func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(tree) {} }
        return try body(Self.text(of: node))
    }

    /// Calls `body` with the bytes of the elements of an array, two at a time, in place: names and values by turns.
    ///
    /// An element that is no text has no bytes. The buffers are valid during the call only.
    ///
    /// - Throws: ``RedisError/protocolViolation(_:)`` for anything but an array of pairs.
    package func forEachPair(
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) throws(RedisError) {
        guard kind == .array, count.isMultiple(of: 2) else {
            throw .protocolViolation("expected an array of pairs, got \(self)")
        }
        defer { withExtendedLifetime(tree) {} }
        for index in stride(from: 0, to: count, by: 2) {
            guard let name = node.pointee.element[index], let value = node.pointee.element[index + 1] else {
                preconditionFailure("hiredis left an element of a complete reply empty")
            }
            body(Self.text(of: name), Self.text(of: value))
        }
    }

    private static func text(of node: UnsafePointer<redisReply>) -> UnsafeRawBufferPointer {
        switch node.pointee.type {
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS, REDIS_REPLY_ERROR:
            UnsafeRawBufferPointer(start: node.pointee.str, count: node.pointee.len)
        // Other types may leave the text's fields unset.
        default: UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }

    /// How many elements an array has; 0 for every other type.
    package var count: Int { kind == .array ? node.pointee.elements : 0 }

    /// An element of an array; `index` must be in `0..<count`.
    package subscript(index: Int) -> RedisReply {
        precondition(index >= 0 && index < count, "element \(index) of a reply that has \(count)")
        guard let element = node.pointee.element[index] else {
            preconditionFailure("hiredis left an element of a complete reply empty")
        }
        return RedisReply(tree: tree, node: element)
    }

    /// The elements of an array; none for every other type.
    package var elements: Elements { Elements(reply: self) }

    /// The elements of a reply, in order.
    package struct Elements: RandomAccessCollection {
        let reply: RedisReply

        package var startIndex: Int { 0 }
        package var endIndex: Int { reply.count }
        package subscript(index: Int) -> RedisReply { reply[index] }
    }
}

extension RedisReply: CustomStringConvertible {
    /// The shape without the content: `an array of 3`, `a string of 12 bytes`.
    package var description: String {
        switch kind {
        case .string: "a string of \(node.pointee.len) bytes"
        case .status: "a status"
        case .integer: "an integer"
        case .array: "an array of \(count)"
        case .null: "null"
        case .error: "an error"
        case .other: "a type of another protocol version"
        }
    }
}

/// Frees hiredis' tree with the last view of it.
private final class ReplyTree {
    private let root: UnsafeMutablePointer<redisReply>

    init(root: UnsafeMutablePointer<redisReply>) {
        self.root = root
    }

    deinit {
        onewrite_redis_reply_free(root)
    }
}
