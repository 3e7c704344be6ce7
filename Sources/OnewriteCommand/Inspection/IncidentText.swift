import Inspection
import Reports

extension Incident {
    /// `delivery 5:15137-15138 settled by root@db1 at 2026-…: jobs pushed from the ledger (a test's XDEL)`.
    var text: String {
        let place = partition.map { " \($0)" + (seqs.map { ":\($0)" } ?? "") } ?? ""
        return sanitized("\(kind)\(place) by \(who)\(at.map { " at \($0)" } ?? ""): \(what) (\(reason))")
    }
}
