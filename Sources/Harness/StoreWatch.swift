import PostgresClient
import RedisClient
import ThreadedIO

/// Looks at Redis and Postgres again and again while everything happens, for what may never be seen, not even for a moment.
///
/// Plain commands, one script of its own and plain SQL; Redis first, then Postgres. A look that a server doesn't answer is
/// left out.
package actor StoreWatch {
    /// What was seen.
    package struct Findings: Sendable {
        /// How often both servers were looked at.
        package var looks = 0
        /// Looks at Redis alone, since Postgres was away.
        package var looksAtRedis = 0
        /// Batches that a sink refused by their token, by group.
        package var refusals: [String: Int] = [:]
        package var refused: Int { refusals.values.reduce(0, +) }
        /// The most sessions of others at a time.
        package var postgresSessions: Int64 = 0
        package var redisClients: Int64 = 0
        package var violations: [String] = []

        package init() {}
    }

    private struct Place: Hashable {
        let group: String
        let partition: Int
    }

    private let executor = ThreadExecutor(name: "watch")
    private let servers: Shop
    private let partitions: Int
    private let sessionsMax: Int64
    private let idleMax: Duration
    private let connections: ShopConnections
    private var positions: [Place: Int64] = [:]
    private var tokens: [Place: Int64] = [:]
    private var refused: [Place: Int64] = [:]
    private var epochs: [Int: Int64] = [:]
    private var isTailBeingLost = false
    /// What was seen so far.
    package private(set) var findings = Findings()

    nonisolated package var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - servers: Where to look, without a proxy between.
    ///   - partitions: How many the log has.
    ///   - sessionsMax: The most connections that there may ever be, to either server.
    ///   - idleMax: How long a session may be idle in a transaction; Onewrite's own limit is 5 s.
    package init(_ servers: Shop, partitions: Int, sessionsMax: Int, idleMax: Duration = .seconds(7)) {
        self.servers = servers
        connections = ShopConnections(servers)
        self.partitions = partitions
        self.sessionsMax = Int64(sessionsMax)
        self.idleMax = idleMax
    }

    /// Looks every 75 ms, until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            look()
            do { try await Task.sleep(for: .milliseconds(75)) } catch { return }
        }
    }

    /// Says that the log, and the sinks in Redis with it, lost their tail: their positions may go back now, once.
    package func tailWasLost() {
        for place in positions.keys where place.group != "postgres" {
            positions[place] = nil
            tokens[place] = nil
        }
    }

    /// Says that the log, and the sinks in Redis with it, lose their tail at some moment from now on, or no longer do: as
    /// long as two servers answer for it, their positions may go back and forth.
    package func tailIsBeingLost(_ isSo: Bool) {
        isTailBeingLost = isSo
        tailWasLost()
    }

    /// Looks once.
    package func look() {
        do {
            let seen = try redisState()
            findings.looksAtRedis += 1
            let applied = try postgresState()
            findings.looks += 1
            for (partition, state) in seen.enumerated() {
                guard let acknowledged = state.acknowledged["postgres"], partition < applied.count else { continue }
                let position = applied[partition]
                if acknowledged > position {
                    report(
                        "partition \(partition): group postgres acknowledged seq \(acknowledged), applied \(position)")
                }
                check(first: state.first, against: position, Place(group: "postgres", partition: partition))
            }
        } catch {
            // A server that is away, or just stopped: that is what the run is about.
        }
    }

    private func report(_ violation: String) {
        // The same is seen at every look.
        if findings.violations.count < 1000, !findings.violations.contains(violation) {
            findings.violations.append(violation)
        }
    }

    // MARK: - Redis

    private struct PartitionState {
        /// The highest seq that a group has acknowledged.
        var acknowledged: [String: Int64] = [:]
        var first: Int64?
    }

    /// KEYS log head position:stock position:delivery; one moment of a partition.
    private static let script = """
        local log = KEYS[1]
        if redis.call('EXISTS', log) == 0 then return {} end
        local function seq_of(fields)
          for k = 1, #fields, 2 do if fields[k] == 'seq' then return tonumber(fields[k + 1]) end end
        end
        local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)
        local reply = { redis.call('HGET', KEYS[2], 'epoch') or '0', first[1] and tostring(seq_of(first[1][2]) or '') or '' }
        for _, info in ipairs(redis.call('XINFO', 'GROUPS', log)) do
          local group = {}
          for k = 1, #info, 2 do group[info[k]] = info[k + 1] end
          local acked, to = 0, group['last-delivered-id']
          while acked == 0 do
            local entries = redis.call('XREVRANGE', log, to, '-', 'COUNT', 100)
            if #entries == 0 then break end
            local pending = {}
            for _, p in ipairs(redis.call('XPENDING', log, group.name, entries[#entries][1], entries[1][1], 1000)) do
              pending[p[1]] = true
            end
            for _, entry in ipairs(entries) do
              if acked == 0 and not pending[entry[1]] then acked = seq_of(entry[2]) or 0 end
            end
            to = '(' .. entries[#entries][1]
          end
          local key = group.name == 'stock' and KEYS[3] or group.name == 'delivery' and KEYS[4]
          local position = key and redis.call('HMGET', key, 'seq', 'token', 'refused') or {}
          reply[#reply + 1] = { group.name, tostring(acked), position[1] or '', position[2] or '', position[3] or '' }
        end
        return reply
        """

    private func redisState() throws -> [PartitionState] {
        let connection = try connections.redis()
        let commands = (0..<partitions).map { partition -> RedisCommand in
            let tag = "{\(servers.namespace):\(partition)}"
            return RedisCommand(
                "EVAL", Self.script, 4, "\(tag):log", "\(tag):head", "\(tag):position:stock", "\(tag):position:delivery"
            )
        }
        let replies = try connection.pipeline(commands, until: limit)
        let clients = try connection.call(RedisCommand("INFO", "clients"), until: limit).requireString()
        let connected = clients.firstMatch(of: /connected_clients:(\d+)/).flatMap { Int64($0.1) } ?? 0
        findings.redisClients = max(findings.redisClients, connected)
        if connected > sessionsMax { report("Redis has more than \(sessionsMax) clients") }
        return try replies.enumerated().map { partition, reply in
            var state = PartitionState()
            guard try reply.requireArray().count > 1 else { return state }
            state.first = try Int64(reply[1].requireString())
            for group in reply.elements.dropFirst(2) {
                let words = try group.elements.map { try $0.requireString() }
                let place = Place(group: words[0], partition: partition)
                let acknowledged = Int64(words[1]) ?? 0
                state.acknowledged[words[0]] = acknowledged
                guard words[0] != "postgres" else { continue }
                let position = Int64(words[2]) ?? 0
                if acknowledged > position {
                    report(
                        "partition \(partition): group \(words[0]) acknowledged seq \(acknowledged), applied \(position)"
                    )
                }
                check(first: state.first, against: position, place)
                advance(place, to: position, token: Int64(words[3]) ?? 0, refused: Int64(words[4]) ?? 0)
            }
            return state
        }
    }

    private func check(first: Int64?, against position: Int64, _ place: Place) {
        guard let first, first > position + 1 else { return }
        report("partition \(place.partition): the log begins at seq \(first), group \(place.group) is at \(position)")
    }

    private func advance(_ place: Place, to position: Int64, token: Int64, refused count: Int64) {
        let mayGoBack = isTailBeingLost && place.group != "postgres"
        if let last = positions[place], position < last, !mayGoBack {
            report("partition \(place.partition): the position of \(place.group) went back from \(last) to \(position)")
        }
        if let last = tokens[place], token < last, !mayGoBack {
            report("partition \(place.partition): the token of \(place.group) went back from \(last) to \(token)")
        }
        findings.refusals[place.group, default: 0] += Int(max(0, count - (refused[place] ?? 0)))
        (positions[place], tokens[place], refused[place]) = (position, token, count)
    }

    // MARK: - Postgres

    private func postgresState() throws -> [Int64] {
        let connection = try connections.postgres()
        var applied: [Int64] = []
        for row in try connection.query(
            "SELECT seq, token, refused, epoch FROM partitions ORDER BY partition", until: limit)
        {
            let place = Place(group: "postgres", partition: applied.count)
            advance(
                place, to: try row.requireInt64(0), token: try row.requireInt64(1), refused: try row.requireInt64(2))
            let epoch = try row.requireInt64(3)
            if let last = epochs[place.partition], epoch < last {
                report("partition \(place.partition): the epoch went back from \(last) to \(epoch)")
            }
            epochs[place.partition] = epoch
            applied.append(try row.requireInt64(0))
        }
        let sessions = try connection.query(
            Self.sessions, [.integer(Int64(idleMax / .milliseconds(1)))], until: limit)
        let count = try sessions.first?.requireInt64(0) ?? 0
        findings.postgresSessions = max(findings.postgresSessions, count)
        if count > sessionsMax { report("Postgres has more than \(sessionsMax) sessions") }
        if try sessions.first?.requireInt64(1) ?? 0 > 0 {
            report("a session was idle in a transaction for over \(idleMax)")
        }
        return applied
    }

    private static let sessions = """
        SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%'
            AND now() - state_change > $1::bigint * interval '1 ms')
        FROM pg_stat_activity WHERE backend_type = 'client backend'
        """

    private var limit: Deadline { .after(.seconds(3)) }
}
