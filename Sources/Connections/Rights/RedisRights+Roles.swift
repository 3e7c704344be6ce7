import OrderLog
package import RedisLog

/// What can differ from server to server.
package struct RedisRightsOptions: Sendable {
    /// Whether the server is of Redis 7.2 or later, or Valkey: it has WAITAOF.
    package var hasWaitAOF: Bool
    /// Whether its settings may be read, which hold passwords (`requirepass`, `masterauth`).
    package var readsSettings: Bool
    /// Whether another database than 0 is used.
    package var selectsDatabase: Bool
    /// Whether it is a Redis Cluster.
    package var isCluster: Bool

    package init(
        hasWaitAOF: Bool = false, readsSettings: Bool = false, selectsDatabase: Bool = false, isCluster: Bool = false
    ) {
        self.isCluster = isCluster
        self.hasWaitAOF = hasWaitAOF
        self.readsSettings = readsSettings
        self.selectsDatabase = selectsDatabase
    }
}

/// The rights of each role: parts by what is done, and roles made of parts.
///
/// A command that something begins to send is a word more here; the tests of every command under every role find what is missing.
extension RedisRights {
    /// All that a role does.
    package init(_ role: StoreRole, _ keys: Keys, _ options: RedisRightsOptions = RedisRightsOptions()) {
        let parts = Parts(keys: keys, inCluster: options.isCluster)
        let rights: RedisRights =
            switch role {
            case .submit: parts.submitting
            case .worker(let group, let sink): parts.serving(group) + parts.applying(group, sink)
            case .workers:
                [.postgres, .stock, .delivery, .script, .own].reduce(parts.serving(nil)) {
                    $0 + parts.applying(nil, $1)
                }
            case .read: parts.reading
            case .operate: parts.reading + parts.submitting + parts.mending
            case .admin:
                [StoreRole.submit, .workers, .operate].reduce(parts.creating) { $0 + RedisRights($1, keys, options) }
            }
        var more = "client|setname info eval evalsha script|load"
        if options.selectsDatabase { more += " select" }
        if options.isCluster { more += " asking cluster|slots" }
        if options.readsSettings { more += " config|get" }
        if options.hasWaitAOF, rights.commands.contains("wait") { more += " waitaof" }
        self = RedisRights(commands: more) + rights
    }

    private struct Parts {
        let keys: Keys
        let inCluster: Bool

        /// A channel of the log's own name tells who reads that there is something.
        private func onChannels(_ command: String) -> RedisRights {
            inCluster ? RedisRights(commands: command, channels: [keys.pattern(.log)]) : RedisRights()
        }

        private func on(_ kinds: Keys.Kind..., access: Grant.Access = .all, may commands: String) -> Grant {
            Grant(access, kinds.map(keys.pattern), commands)
        }

        private var appendKeys: [String] { [.head, .log, .seen, .seenParts].map(keys.pattern) }

        /// What append.lua and the functions do.
        private var appending: RedisRights {
            onChannels("spublish")
                + RedisRights(
                    commands: "time", scriptKeys: appendKeys,
                    grants: [
                        on(.log, may: "xadd"), on(.head, may: "hget hmget hset"),
                        on(.seen, .seenParts, may: "exists get hget hmget hset rename set unlink"),
                        on(.admission, may: "exists hmget hset"), on(.available, may: "exists hmget hset"),
                        Grant(.read, [keys.meta], "hmget"),
                    ])
        }

        /// Appending by command, library or function, in every durability, and waiting for groups.
        var submitting: RedisRights {
            appending
                + RedisRights(
                    commands: "fcall wait",
                    grants: [
                        // FCALL_RO onewrite_partition names the record of the log.
                        Grant(.read, [keys.meta], "fcall_ro"), Grant(.read, [keys.groups], "hgetall"),
                        on(.position(nil), access: .read, may: "hget"),
                        // What an order was that is to be cancelled, and not applied yet; whether a change was set aside.
                        on(.log, access: .read, may: "xrange xrevrange"),
                        on(.dead(nil), access: .read, may: "xrevrange"),
                        Grant(.read, [keys.workersPattern(nil)], "zcount"),
                    ])
        }

        /// Membership of a group, leases, and reading its entries; of every group for nil.
        func serving(_ group: Group?) -> RedisRights {
            onChannels("ssubscribe")
                + RedisRights(
                    // BGREWRITEAOF: behind each start of the server, before anything is written.
                    commands: "time ping subscribe pubsub|numsub client|unblock bgrewriteaof",
                    scriptKeys: [keys.workersPattern(group), keys.reportsPattern(group)]
                        + [.lease(group), .head, .log].map(keys.pattern),
                    channels: [keys.presencePattern(group)],
                    grants: [
                        on(
                            .log,
                            may:
                                "xreadgroup xack xautoclaim xgroup|create xgroup|delconsumer xinfo|consumers xinfo|groups xpending xrange type"
                        ),
                        on(.head, access: .read, may: "hmget"), on(.lease(group), may: "get set del pttl pexpire"),
                        Grant(.all, [keys.workersPattern(group)], "zadd zrange zrem"),
                        Grant(.all, [keys.reportsPattern(group)], "set del"),
                        Grant(.read, [keys.meta], "hmget"), Grant(.read, [keys.groups], "hgetall"),
                    ])
        }

        /// The effect, and what is beside it; of every group for nil.
        func applying(_ group: Group?, _ sink: StoreRole.Sink) -> RedisRights {
            switch sink {
            case .postgres: return opening + trimming
            case .stock:
                return settingAside(group)
                    + RedisRights(
                        // SCAN: of a log that early builds began, which kept no list of shops.
                        commands: "scan", scriptKeys: [.shops, .stock].map(keys.pattern),
                        grants: [on(.stock, may: "hincrby hmget hset hscan"), on(.shops, may: "sadd sscan type")])
                    + counting
            case .delivery:
                return settingAside(group)
                    + RedisRights(
                        scriptKeys: [keys.pattern(.deliveries)], grants: [on(.deliveries, may: "rpush llen type")])
            case .script: return settingAside(group) + scripting(group)
            case .elsewhere: return settingAside(group)
            case .own:
                // Such a group records itself, and where it begins.
                return settingAside(group)
                    + RedisRights(
                        grants: [Grant(.all, [keys.groups], "hsetnx"), on(.log, access: .read, may: "xrevrange")])
            }
        }

        /// What may be sold is counted, where admission is on.
        private var counting: RedisRights {
            RedisRights(
                commands: "time",
                scriptKeys: [.head, .log, .position(.stock), .stock, .admission, .available].map(keys.pattern),
                grants: [
                    on(.admission, may: "exists hexists hget hgetall hset"),
                    on(.available, may: "exists hmget hset hscan"),
                    on(.stock, access: .read, may: "hmget hscan"), on(.log, access: .read, may: "xrevrange"),
                    on(.position(.stock), access: .read, may: "hget"), on(.head, access: .read, may: "hexists hmget"),
                ])
        }

        /// A sink's position and dead letters.
        private func settingAside(_ group: Group?) -> RedisRights {
            RedisRights(
                scriptKeys: [.position(group), .dead(group)].map(keys.pattern),
                grants: [
                    on(.position(group), may: "hexists hget hincrby hmget hset hsetnx"),
                    on(.dead(group), may: "xadd xrevrange type"),
                ])
        }

        /// What a script of the user's may do: read in its partition, and write what is its own.
        private func scripting(_ group: Group?) -> RedisRights {
            RedisRights(
                commands: "command|info command|getkeys",
                grants: [
                    Grant(.read, [keys.partitionsPattern], Self.anyReading),
                    on(
                        .own(group),
                        may:
                            "@hash @list @set @sortedset @string @bitmap @hyperloglog @geo @stream -@blocking -@dangerous "
                            + "del unlink expire pexpire persist rename exists type"),
                ])
        }

        /// Reading, whatever the command, but for those that look at all keys.
        private static let anyReading = "@read -@dangerous -@keyspace exists type ttl pttl"

        /// Opening the log after Redis was restarted or replaced, and putting back what it lost.
        private var opening: RedisRights {
            RedisRights(
                commands: "time bgrewriteaof", scriptKeys: [.head, .log, .seen].map(keys.pattern),
                grants: [
                    on(.head, may: "hdel hget hmget hset exists"),
                    on(.log, may: "xadd exists xlen xrange xrevrange xgroup|create"),
                    on(.seen, .seenParts, may: "get hset hsetnx"),
                    on(.admission, may: "exists hdel hexists hget hkeys hset hsetnx"),
                    on(.available, may: "hincrby hset unlink"),
                ])
        }

        private var trimming: RedisRights {
            RedisRights(
                commands: "time", scriptKeys: [.head, .log, .position(nil)].map(keys.pattern),
                grants: [
                    on(.log, may: "xtrim xpending xlen xrange memory|usage"), on(.head, may: "hget hmget hset"),
                    on(.position(nil), access: .read, may: "hget hmget"), Grant(.read, [keys.groups], "hgetall"),
                ])
        }

        /// Everything that looks: status, dashboard, orders, dead letters, log, audit, doctor.
        var reading: RedisRights {
            RedisRights(
                // SCAN tells the names of all keys of the server; audit and doctor look for what nobody should have written.
                commands: "time multi exec scan pubsub|numsub function|list",
                // A look at a head is a script, and so is comparing what may be sold: their keys count as written to, but there is no
                // command here that writes.
                scriptKeys: [.head, .log, .position(.stock), .stock, .admission, .available].map(keys.pattern),
                grants: [
                    Grant(
                        .read,
                        [
                            keys.partitionsPattern, keys.meta, keys.groups, keys.workersPattern(nil),
                            keys.reportsPattern(nil),
                        ],
                        """
                        exists type memory|usage get hexists hget hgetall hlen hmget hscan llen lrange scard srandmember sscan \
                        xinfo|consumers xinfo|groups xlen xpending xrange xread xrevrange zcount zrange zrevrange
                        """)
                ])
        }

        /// What operators change.
        var mending: RedisRights {
            [opening, trimming, taking, rebuilding, grouping, counting].reduce(RedisRights()) { $0 + $1 }
        }

        /// Dead letters: taken, retried, dropped.
        private var taking: RedisRights {
            [.stock, .delivery].reduce(
                RedisRights(
                    scriptKeys: [keys.pattern(.lease(nil))],
                    grants: [
                        on(.seen, .seenParts, may: "get hget hdel"), on(.dead(nil), may: "hset hsetnx"),
                        on(.log, may: "xack xinfo|groups xpending xrange type"),
                    ])
            ) { $0 + applying(nil, $1) }
        }

        /// Stock, jobs and the log itself, made anew.
        private var rebuilding: RedisRights {
            RedisRights(
                scriptKeys: [keys.pattern(.shadows)],
                grants: [
                    on(.shadows, may: "exists hset pexpire unlink"), on(.stock, may: "unlink persist"),
                    // Both keys of a RENAME in one.
                    on(.shadows, .stock, .seen, may: "rename"),
                    on(.admission, may: "hkeys unlink"),
                    on(.shops, may: "sadd unlink"), on(.seen, .seenParts, may: "hset persist unlink"),
                    on(.position(nil), may: "hdel hget hincrby hset unlink"),
                    on(.deliveries, may: "lindex linsert llen lpush lrange lrem rpush type"),
                    // Where Redis lost everything, the record of the log, too.
                    Grant(.all, [keys.meta], "exists hset"), Grant(.all, [keys.groups], "hsetnx"),
                ])
        }

        /// Groups are added, changed and removed.
        private var grouping: RedisRights {
            RedisRights(
                commands: "command|info command|getkeys scan",
                grants: [
                    Grant(.all, [keys.groups], "hset hsetnx hdel"), on(.log, may: "xgroup|create xgroup|destroy"),
                    on(.position(nil), may: "del"), on(.own(nil), may: "unlink"),
                    // A script of the user's is tried on the partition that is there.
                    Grant(.read, [keys.partitionsPattern], Self.anyReading),
                ])
        }

        /// `init`, `upgrade` and `functions load`.
        var creating: RedisRights {
            RedisRights(
                commands: "function|list function|load", scriptKeys: [keys.meta],
                grants: [Grant(.all, [keys.meta], "exists hmget hset"), Grant(.all, [keys.groups], "hsetnx")])
        }
    }
}
