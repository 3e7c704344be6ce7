package import OrderLog

/// The names of the log's keys in Redis.
///
/// The only place that builds them.
///
/// All keys of a partition carry its hash tag, so that each script touches one slot.
package struct Keys: Hashable, Sendable {
    package let namespace: String

    /// Keys of one namespace.
    ///
    /// - Parameter namespace: 1 to 64 of `[A-Za-z0-9._:/-]`; nil is returned for another text.
    package init?(namespace: String) {
        guard (1...64).contains(namespace.utf8.count), namespace.utf8.allSatisfy(Alphabet.identifier.contains) else {
            return nil
        }
        self.namespace = namespace
    }

    package var meta: String { "\(namespace):meta" }

    /// What a script of the user's may have written, in any partition; names of groups hold nothing that a pattern takes for more.
    func ownPattern(_ group: Group) -> String { "{\(namespace):*}:own:\(group.name):*" }

    /// The groups' definitions.
    package var groups: String { "\(namespace):groups" }

    package func log(_ partition: Partition) -> String { "{\(namespace):\(partition)}:log" }
    package func head(_ partition: Partition) -> String { "{\(namespace):\(partition)}:head" }
    package func seen(_ partition: Partition) -> String { "{\(namespace):\(partition)}:seen" }
    package func seenBefore(_ partition: Partition) -> String { "{\(namespace):\(partition)}:seen:old" }
    /// A part of the idempotency window, where it is in buckets.
    package func seenBucket(_ partition: Partition, since: String, bucket: Int) -> String {
        "{\(namespace):\(partition)}:seen:\(since):\(bucket)"
    }
    package func deliveries(_ partition: Partition) -> String { "{\(namespace):\(partition)}:deliveries" }

    package func stock(_ partition: Partition, shop: String) -> String {
        "{\(namespace):\(partition)}:stock:\(shop)"
    }

    /// The shops whose orders are admitted by their stock: shop → how far its counting is.
    ///
    /// Scripts make this name and the next one from the head's.
    package func admission(_ partition: Partition) -> String { "{\(namespace):\(partition)}:admission" }

    /// What may still be sold of such a shop.
    package func available(_ partition: Partition, shop: String) -> String {
        "{\(namespace):\(partition)}:available:\(shop)"
    }

    /// A shop's counters while they are made anew, by somebody of this name.
    package func stockShadow(_ partition: Partition, shop: String, by maker: WorkerName) -> String {
        "{\(namespace):\(partition)}:rebuild:\(maker):stock:\(shop)"
    }

    /// The remembered IDs while they are made anew, by somebody of this name.
    package func seenShadow(_ partition: Partition, by maker: WorkerName) -> String {
        "{\(namespace):\(partition)}:rebuild:\(maker):seen"
    }

    /// The shops that have stock there.
    package func shops(_ partition: Partition) -> String { "{\(namespace):\(partition)}:shops" }

    package func position(_ partition: Partition, _ group: Group) -> String {
        "{\(namespace):\(partition)}:position:\(group.name)"
    }

    package func lease(_ partition: Partition, _ group: Group) -> String {
        "{\(namespace):\(partition)}:lease:\(group.name)"
    }

    package func dead(_ partition: Partition, _ group: Group) -> String {
        "{\(namespace):\(partition)}:dead:\(group.name)"
    }

    /// What became of a group's dead letters: the ID in its stream of dead letters → a resolution as JSON.
    package func deadResolved(_ partition: Partition, _ group: Group) -> String { "\(dead(partition, group)):resolved" }

    package func workers(_ group: Group) -> String { "\(namespace):workers:\(group.name)" }

    /// What a worker says of itself, as JSON.
    package func report(_ group: Group, _ worker: WorkerName) -> String {
        "\(namespace):worker:\(group.name):\(worker)"
    }

    /// What the names of the channels begin with that show the workers' presence; the worker's name follows.
    package func presencePrefix(_ group: Group) -> String { "\(namespace):present:\(group.name):" }
}
