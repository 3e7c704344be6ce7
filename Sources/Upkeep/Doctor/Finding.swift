/// Something that is wrong with the set-up, or could be, and what to do about it.
package struct Finding: Sendable, Equatable, Encodable {
    /// How bad it is.
    package enum Severity: String, Sendable, Encodable, Comparable, CaseIterable {
        /// Data can be lost, or it can't work.
        case error
        /// It works; a fault, or time, will hurt.
        case warning
        /// Worth knowing; nothing has to be done.
        case note

        private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }

        package static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }
    }

    /// Stable, for programs: `eviction`.
    package let code: String
    package let severity: Severity
    /// What was found, with what it is about.
    package let what: String
    /// What it means here.
    package let meaning: String
    /// The command that mends it, or what to do.
    package let fix: String
}

/// What is looked at: a row of the table in the docs.
package struct Check: Sendable {
    package let code: String
    package let severity: Finding.Severity
    /// What is right, in a few words.
    package let expects: String
    package let meaning: String
    package let fix: String

    private init(_ code: String, _ severity: Finding.Severity, _ expects: String, _ meaning: String, _ fix: String) {
        (self.code, self.severity, self.expects) = (code, severity, expects)
        (self.meaning, self.fix) = (meaning, fix)
    }

    /// A finding of this check.
    ///
    /// - Parameters:
    ///   - what: What was found.
    ///   - fix: A more exact command than the table's.
    /// - Returns: It, with the table's words.
    package func finding(_ what: String, fix: String? = nil) -> Finding {
        Finding(code: code, severity: severity, what: what, meaning: meaning, fix: fix ?? self.fix)
    }

    /// The check of a code.
    package static func of(_ code: String) -> Check {
        all.first { $0.code == code }
            ?? Check(code, .warning, "status warns of nothing", "status tells more", "onewrite status")
    }

    /// The table: servers first, then the settings of each, then the log and its workers.
    package static let all: [Check] = [
        Check(
            "redis-unreachable", .error, "Redis answers", "no order can be accepted",
            "start Redis, or put REDIS_URL right"),
        Check(
            "redis-denied", .error, "Redis lets this user in", "nothing can be looked at or done there",
            "put user and password in REDIS_URL right"),
        Check(
            "redis-tls", .error, "the certificates that Redis and we show each other are accepted",
            "no order can be accepted", "put the certificates, or the options for TLS in REDIS_URL, right"),
        Check(
            "redis-unverified", .warning, "Redis has to prove who it is",
            "whoever is on the way can be taken for Redis, and read and change everything",
            "take tls_verify=off out of REDIS_URL, and name Redis's authority with tls_ca"),
        Check(
            "redis-plaintext", .warning, "a connection to Redis on another machine is encrypted",
            "whoever is on the way can read and change everything, the password as well",
            "a TLS port on Redis, and rediss:// in REDIS_URL"),
        Check(
            "replica", .error, "Redis is a master", "a replica takes no orders",
            "point REDIS_URL at the master, or at Sentinels: redis+sentinel://"),
        Check(
            "postgres-unreachable", .error, "Postgres answers",
            "orders are accepted and wait in the log; nothing reaches Postgres, and no log can be opened",
            "start Postgres, or put DATABASE_URL right"),
        Check(
            "postgres-denied", .error, "Postgres lets this role in", "nothing can be looked at or done there",
            "put role and password in DATABASE_URL right"),
        Check(
            "postgres-plaintext", .warning, "a connection to Postgres on another machine is encrypted",
            "whoever is on the way can read and change everything",
            "ssl = on in Postgres, and sslmode=verify-full in DATABASE_URL"),
        Check(
            "postgres-not-configured", .warning, "a Postgres is configured", "nothing of it could be looked at",
            "set DATABASE_URL"),
        Check(
            "standby", .error, "Postgres is a primary", "a standby takes no writes", "point DATABASE_URL at the primary"
        ),
        Check(
            "redis-version", .error, "Redis 7.0 or newer, or Valkey", "the scripts need what 7.0 brought",
            "upgrade Redis"),
        Check(
            "functions", .warning, "the Redis functions are those of this version, or aren't there",
            "producers in other languages append by another version's rules", "onewrite functions load"),
        Check(
            "eviction", .error, "maxmemory-policy noeviction", "a full Redis deletes the log, or counters, silently",
            "redis-cli CONFIG SET maxmemory-policy noeviction"),
        Check(
            "no-aof", .error, "appendonly yes",
            "what Redis holds is lost when it ends: accepted orders that Postgres has not applied, stock, deliveries",
            "redis-cli CONFIG SET appendonly yes"),
        Check(
            "appendfsync-no", .warning, "appendfsync everysec or always",
            "a power cut loses what the kernel had not written yet: half a minute, about",
            "redis-cli CONFIG SET appendfsync everysec"),
        Check(
            "aof-failing", .error, "Redis writes its append-only file", "writes are refused, or not kept",
            "look into Redis's log: a full disk, mostly"),
        Check(
            "aof-tail", .warning, "the append-only file was rewritten since the start",
            "half a transaction that a power cut left in it may be executed at the next start", "redis-cli BGREWRITEAOF"
        ),
        Check(
            "save-failing", .error, "Redis's last snapshot was written",
            "with stop-writes-on-bgsave-error, writes are refused",
            "look into Redis's log: a full disk, mostly"),
        Check(
            "memory-high", .warning, "memory below 80 % of maxmemory", "when it is full, no order is accepted",
            "onewrite trim --yes, or raise maxmemory"),
        Check(
            "memory-full", .error, "memory below 95 % of maxmemory", "no order is accepted soon, or now",
            "onewrite trim --yes, or raise maxmemory"),
        Check(
            "memory-trend", .warning, "maxmemory is weeks away, at the log's growth of the last day",
            "when it is full, no order is accepted",
            "set trim to 7d for the workers of group postgres, or onewrite trim --yes"),
        Check(
            "no-maxmemory", .note, "maxmemory is set", "Redis grows until the system ends it",
            "redis-cli CONFIG SET maxmemory 2gb, and onewrite trim"),
        Check(
            "not-trimmed", .note, "the log is trimmed", "it grows with every change",
            "set trim to 7d for the workers of group postgres, or onewrite trim --yes"),
        Check(
            "min-replicas", .error, "as many replicas as min-replicas-to-write asks for",
            "Redis refuses every write until they are there",
            "bring the replicas back, or redis-cli CONFIG SET min-replicas-to-write 0"),
        Check(
            "no-min-replicas", .warning, "min-replicas-to-write 1 where there are replicas",
            "a master that is cut off goes on accepting orders, which a failover loses",
            "redis-cli CONFIG SET min-replicas-to-write 1; redis-cli CONFIG SET min-replicas-max-lag 1"),
        Check(
            "backlog-ttl", .warning, "repl-backlog-ttl 0",
            "the replication ID changes once an hour while there is no replica: the log is closed and opened again each time",
            "redis-cli CONFIG SET repl-backlog-ttl 0"),
        Check(
            "client-timeout", .warning, "timeout 0",
            "Redis cuts idle connections: workers that have nothing to do are thought gone",
            "redis-cli CONFIG SET timeout 0"),
        Check(
            "redis-settings-hidden", .note, "this user may read Redis's settings",
            "managed servers mostly forbid it: look at them there",
            "onewrite grants redis --role ROLE --settings"),
        Check(
            "redis-rights", .error, "this Redis user may do what everybody does, or what its roles do",
            "what isn't permitted fails when it is needed",
            "onewrite grants redis --role ROLE"),
        Check(
            "redis-latency", .warning, "Redis answers within 20 ms", "every batch waits for it",
            "run workers near Redis"),
        Check(
            "postgres-latency", .warning, "Postgres answers within 20 ms", "every batch waits for it",
            "run workers of group postgres near Postgres"),
        Check(
            "clock", .warning, "all clocks within 2 s",
            "ages, retention and appended_at are wrong by as much; order and safety don't rest on clocks",
            "run an NTP client on each machine"),
        Check(
            "fsync", .error, "fsync on", "a crash of the machine can destroy the database",
            "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()"),
        Check(
            "full-page-writes", .error, "full_page_writes on", "a crash of the machine can destroy pages",
            "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf()"),
        Check(
            "encoding", .error, "the database is in UTF8", "a name that it can't hold stops the group postgres",
            "createdb --encoding=UTF8 --locale=C --template=template0 NAME"),
        Check(
            "collation-version", .warning, "indexes were built with the collation that is installed",
            "after an upgrade of the system's library lookups by text may miss rows",
            "REINDEX DATABASE CONCURRENTLY; ALTER DATABASE NAME REFRESH COLLATION VERSION"),
        Check(
            "connections", .warning, "Postgres has a fifth of its connections free",
            "workers that start are turned away",
            "ALTER SYSTEM SET max_connections = 200, and restart; or a pooler"),
        Check(
            "postgres-rights", .error, "this role may do what everybody does, or what its roles do",
            "what isn't permitted fails when it is needed", "onewrite grants postgres --role ROLE"),
        Check("no-log", .error, "there is a log", "nothing can be submitted", "onewrite init"),
        Check(
            "log-lost", .error, "Redis has the log of Postgres's ledger",
            "Redis lost everything, or this is the wrong server or namespace",
            "onewrite rebuild log"),
        Check(
            "schema", .error, "the schema in Postgres is this log's", "the group postgres can't work",
            "onewrite init, or put --schema right"),
        Check(
            "format", .warning, "log and schema are of this program's newest format",
            "what needs the newer format is refused, such as trim", "onewrite upgrade"),
        Check(
            "format-newer", .error, "a format that this program knows", "this program can't work with the log",
            "use a newer program"),
        Check(
            "closed", .error, "the log is open", "no order is accepted there",
            "onewrite worker --group postgres, or onewrite open"),
        Check(
            "halted", .error, "no partition is halted", "a group applies nothing there until a person decides",
            "docs/operating.md says what to do for each reason"),
        Check(
            "stalled", .warning, "no partition is stalled", "a group waits for a server or a person, and tries again",
            "onewrite status says for what"),
        Check("no-worker", .warning, "each group that has work has a worker", "it falls behind", "onewrite worker"),
        Check(
            "worker-silent", .warning, "every worker is heard of", "it is stopped or overloaded; others take over",
            "look at its process"),
        Check(
            "orphaned", .warning, "what is pending belongs to a live worker",
            "it waits until one takes the partition over", "onewrite worker"),
        Check(
            "dead-letters", .warning, "no dead letters", "these changes had no effect in a store", "onewrite dead list"),
        Check(
            "group-missing", .warning, "the consumer groups are there",
            "it was destroyed by hand; a worker makes it again", "onewrite worker, or onewrite init"),
        Check(
            "unreadable", .error, "every key is of its type, and may be read", "a store stalls there",
            "onewrite status names the key"),
        Check(
            "consumers-left", .note, "only consumers of live workers",
            "they have nothing pending, and cost nothing but a line",
            "they go when a worker takes the partition over"),
        Check(
            "unknown-keys", .warning, "every key of the namespace is ours",
            "somebody else uses the namespace, or left something there",
            "look at them, and delete or rename them"),
    ]
}
