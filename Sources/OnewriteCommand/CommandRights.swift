import ArgumentParser
import OrderLog

/// Which role each command needs in Redis and Postgres.
enum CommandRights {
    /// A line each; commands that ask no server, or servers of their own, need none.
    static let roles: [(command: any ParsableCommand.Type, role: String)] = [
        (SubmitCommand.self, "submit"), (CancelCommand.self, "submit"), (ReturnCommand.self, "submit"),
        (StockCommand.Count.self, "submit"),
        (StockCommand.Receive.self, "submit"), (WorkerCommand.self, "worker:GROUP"), (StatusCommand.self, "read"),
        (DashboardCommand.self, "read"), (ServeCommand.self, "read"), (PendingCommand.self, "read"),
        (OrderCommand.self, "read"), (LogCommand.self, "read"), (StockCommand.Show.self, "read"),
        (AdmissionCommand.Show.self, "read"),
        (AuditCommand.self, "read"), (DoctorCommand.self, "read"), (DeadListCommand.self, "read"),
        (DeadShowCommand.self, "read"), (IncidentListCommand.self, "read"), (GroupListCommand.self, "read"),
        (GroupCommand.self, "read"),
        (AdmissionCommand.On.self, "operate"), (AdmissionCommand.Off.self, "operate"), (OpenCommand.self, "operate"),
        (TrimCommand.self, "operate"), (RebuildLogCommand.self, "operate"),
        (RebuildStockCommand.self, "operate"), (RebuildDeliveryCommand.self, "operate"),
        (RebuildTablesCommand.self, "operate"), (RepairCommand.self, "operate"), (DeadRetryCommand.self, "operate"),
        (DeadDropCommand.self, "operate"), (DeadTakeCommand.self, "operate"), (IncidentSettleCommand.self, "operate"),
        (GroupAddCommand.self, "operate"), (GroupChangeCommand.self, "operate"), (GroupRemoveCommand.self, "operate"),
        (InitCommand.self, "admin"), (UpgradeCommand.self, "admin"), (FunctionsLoadCommand.self, "admin"),
    ]

    /// What to do about a right that a command lacks, behind a server's words; empty where there is no such command.
    ///
    /// - Parameters:
    ///   - command: What was run.
    ///   - message: The server's words.
    /// - Returns: Words to go behind the server's.
    static func advice(for command: (any ParsableCommand.Type)?, _ message: String) -> String {
        guard let command, let role = roles.first(where: { $0.command == command })?.role else { return "" }
        let server = message.contains("SQLSTATE") ? "postgres" : "redis"
        return ". This needs the role \(role). Run: onewrite grants \(server) --role \(role)"
    }
}
