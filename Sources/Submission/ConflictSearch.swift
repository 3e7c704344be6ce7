import ChangeInput
import OrderLog
import RedisClient
import RedisLog
import ThreadedIO

/// Looks for changes whose ID the log has with another payload, before they are sent.
struct ConflictSearch {
    let redis: RedisConnection
    let keys: Keys
    let partitioning: Partitioning

    /// IDs that one command asks for.
    private static let chunk = 1000

    /// What one partition is asked for.
    private struct Question {
        var names: [String] = []
        /// Where each name's row is, and the digest it has.
        var rows: [(index: Int, digest: Digest)] = []
    }

    /// The first row that can't be taken, or is in conflict with the log or with a row before it.
    func firstIndex(in rows: ArraySlice<InputRow>, until deadline: Deadline) throws(RedisError) -> Int? {
        var questions: [Partition: Question] = [:]
        var digests: [Name: Digest] = [:]
        var first = rows.endIndex
        for index in rows.indices {
            guard case .success(let change) = rows[index].result else {
                first = index
                break
            }
            let (name, digest) = (NameEncoding.windowName(shop: change.shop, id: change.id), Digest(of: change))
            if let known = digests.updateValue(digest, forKey: Name(name)), known != digest {
                first = index
                break
            }
            let partition = partitioning.partition(ofShop: change.shop)
            questions[partition, default: Question()].names.append(name)
            questions[partition, default: Question()].rows.append((index, digest))
        }
        for (partition, question) in questions {
            for start in stride(from: 0, to: question.names.count, by: Self.chunk) {
                let names = question.names[start..<min(start + Self.chunk, question.names.count)]
                let known = try IdempotencyWindow(redis, keys).known(names, in: partition, until: deadline)
                for (known, row) in zip(known, question.rows[start...]) where row.index < first {
                    if let known, known.digest != row.digest { first = row.index }
                }
            }
        }
        return first < rows.endIndex ? first : nil
    }
}
