import PostgresClient

/// What a role may do in the log's schema in Postgres, and nothing else.
package struct PostgresRights: Sendable, Equatable {
    /// A privilege on a table, or on some of its columns.
    package struct Grant: Sendable, Hashable {
        package let privilege: String
        package let table: String
        /// Empty for all.
        package let columns: [String]
    }

    package private(set) var grants: [Grant] = []
    /// Whether it makes tables of its own in the schema: those beside which a rebuild works.
    package private(set) var createsTables = false
    /// Whether schema and tables are its own.
    package private(set) var owns = false

    package static let tables = [
        "meta", "partitions", "ledger", "orders", "order_lines", "stock", "dead_letters", "incidents",
        "admission",
    ]

    /// All that a role does.
    package init(_ role: StoreRole) {
        switch role {
        case .submit: submit()
        case .worker(_, .postgres): serve()
        case .worker(_, .stock), .worker(_, .delivery): break
        case .worker: follow()
        case .workers:
            serve()
            follow()
        case .read: read()
        case .operate:
            read()
            serve()
            mend()
        case .admin: owns = true
        }
    }

    /// Whether it has nothing to do in Postgres.
    package var isEmpty: Bool { grants.isEmpty && !owns }

    /// Both together.
    package static func + (left: PostgresRights, right: PostgresRights) -> PostgresRights {
        var sum = left
        for grant in right.grants { sum.add(grant.privilege, grant.table, grant.columns) }
        sum.createsTables = left.createsTables || right.createsTables
        sum.owns = left.owns || right.owns
        return sum
    }

    private mutating func add(_ privilege: String, _ table: String, _ columns: [String] = []) {
        let grant = Grant(privilege: privilege, table: table, columns: columns)
        if !grants.contains(grant) { grants.append(grant) }
    }

    /// `applied` as a durability, `--wait`, the lines of an order that is to be cancelled, and which orders are there already.
    private mutating func submit() {
        add("SELECT", "meta")
        add("SELECT", "partitions", ["partition", "epoch", "seq"])
        add("SELECT", "ledger", ["partition", "seq", "epoch", "entry", "digest", "id", "shop", "type", "applied_at"])
        add("SELECT", "orders", ["shop", "id", "status", "customer", "placed_at", "seq"])
        add("SELECT", "order_lines")
        add(
            "SELECT", "dead_letters",
            ["partition", "seq", "epoch", "entry", "id", "shop", "type", "order_id", "reason", "error"])
    }

    /// The group postgres: the sink, opening, putting back, trimming.
    private mutating func serve() {
        add("SELECT", "meta")
        for table in ["partitions", "ledger", "orders", "order_lines", "stock", "dead_letters", "admission"] {
            add("SELECT", table)
        }
        add("UPDATE", "partitions", ["epoch", "replid", "seq", "entry", "token", "owner", "refused"])
        for table in ["ledger", "orders", "order_lines", "stock", "dead_letters"] { add("INSERT", table) }
        add("UPDATE", "ledger", ["epoch", "entry"])
        add("UPDATE", "orders", ["status"])
        add("UPDATE", "order_lines", ["returned"])
        add("UPDATE", "stock", ["on_hand"])
        add("UPDATE", "dead_letters", ["epoch", "entry"])
    }

    /// A group that is never ahead of the ledger, and gets from it what the log holds no more.
    private mutating func follow() {
        for table in ["meta", "partitions", "ledger", "dead_letters"] { add("SELECT", table) }
    }

    private mutating func read() {
        for table in Self.tables { add("SELECT", table) }
    }

    /// Dead letters, incidents, admission, and tables made anew.
    private mutating func mend() {
        add("INSERT", "admission")
        add("DELETE", "admission")
        add("UPDATE", "dead_letters", ["resolution", "resolved_at"])
        add("INSERT", "incidents")
        for table in ["orders", "order_lines", "stock"] {
            add("UPDATE", table)
            add("DELETE", table)
        }
        createsTables = true
    }

    // MARK: - As SQL

    /// The statements that make a role and give it these rights, and no others; safe to run again.
    ///
    /// - Parameters:
    ///   - name: The role's name.
    ///   - schema: The log's.
    ///   - logsIn: Whether it is somebody who connects, or a set of rights for others to be members of.
    /// - Returns: SQL, a statement a line.
    package func statements(for name: String, in schema: String, logsIn: Bool) -> [String] {
        let (role, quoted) = (PostgresQuoting.quoted(identifier: name), PostgresQuoting.quoted(identifier: schema))
        let (roleText, schemaText) = (PostgresQuoting.quoted(literal: name), PostgresQuoting.quoted(literal: schema))
        let login = logsIn ? "LOGIN" : "NOLOGIN"
        let create = """
            DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = \(roleText)) THEN \
            CREATE ROLE \(role); END IF; END $do$;
            """
        var lines = [
            create, "ALTER ROLE \(role) \(login);",
        ]
        if owns {
            return lines + [
                "DO $do$ BEGIN EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO %I', current_database(), \(roleText)); END $do$;",
                """
                DO $do$ DECLARE t name; BEGIN IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = \(schemaText)) THEN RETURN; END IF; \
                EXECUTE format('ALTER SCHEMA %I OWNER TO %I', \(schemaText), \(roleText)); \
                FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = \(schemaText) LOOP \
                EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', \(schemaText), t, \(roleText)); END LOOP; END $do$;
                """,
            ]
        }
        lines += [
            "REVOKE ALL ON SCHEMA \(quoted) FROM PUBLIC, \(role);",
            "REVOKE ALL ON ALL TABLES IN SCHEMA \(quoted) FROM PUBLIC, \(role);",
        ]
        if isEmpty { return lines }
        lines += [
            "DO $do$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), \(roleText)); END $do$;",
            "GRANT USAGE\(createsTables ? ", CREATE" : "") ON SCHEMA \(quoted) TO \(role);",
        ]
        return lines
            + grants.map { grant in
                let columns = grant.columns.isEmpty ? "" : " (\(grant.columns.joined(separator: ", ")))"
                return "GRANT \(grant.privilege)\(columns) ON \(quoted).\(grant.table) TO \(role);"
            }
    }
}
