#if DEBUG
import Faults

/// What seeded bugs leave out of the scripts.
extension SeededBug {
    /// A piece of a script, and what the bug puts in its place.
    struct ScriptChange {
        let script: String
        let from: String
        let to: String
    }

    var scriptChanges: [ScriptChange] {
        func change(_ script: String, _ from: String, to: String = "") -> [ScriptChange] {
            [ScriptChange(script: script, from: from, to: to)]
        }
        return switch self {
        case .runIDForReplid:
            change("history", "redis.call('INFO', 'replication')", to: "redis.call('INFO')")
                + change("history", "master_replid:(%x+)", to: "run_id:(%x+)")
        case .openWithoutComparing:
            change(
                "open",
                "if not is_master or replid ~= read_replid or (head[1] or '') ~= read_epoch or (head[2] or '') ~= read_seq then",
                to: "if not head[2] and read_seq ~= '' then")
        case .seenNotRebuilt: change("open", "if #seen > 0 then", to: "if false then")
        case .appendUnguarded:
            change("append", "if not is_master or replid ~= head[3] then return { 'CLOSED' } end")
        case .repeatsInCallAccepted: change("append", " or places[name]")
        case .seenNotWritten: change("append", "  redis.call('HSET', seen_key, unpack(fresh))\n")
        case .sinkIgnoresHistory:
            change("sink", "if not head_seq or tonumber(head_seq) < batch.last then return { 'HISTORY' } end")
        case .sinkIgnoresToken:
            change("sink", "if position[2] ~= batch.token or position[3] ~= batch.owner then", to: "if false then")
        case .gapsJumped: change("sink", "if seq == batch.first - 1 then", to: "if true then")
        case .acknowledgesBare:
            change("acknowledge", "if not seq_under(head_key, epoch, replid) then return { 'HISTORY' } end")
                + change("acknowledge", "if position_key then", to: "if false then")
        default: []
        }
    }

    /// A script's text with the mistake that is on; the piece that it changes must be there.
    static func changed(_ text: String, of script: String) -> String {
        guard let bug = active else { return text }
        var text = text
        for change in bug.scriptChanges where change.script == script {
            precondition(text.contains(change.from), "\(script).lua no longer has what \(bug) changes: \(change.from)")
            text = text.replacing(change.from, with: change.to)
        }
        return text
    }
}
#endif
