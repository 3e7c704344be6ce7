import RedisClient

/// The Lua scripts, each with what is read ahead of it.
enum Scripts {
    static let append = script("append", PackageResources.append_lua, .appending)
    static let forget = script("forget", PackageResources.forget_lua, .window)
    static let look = script("look", PackageResources.look_lua, .history)
    static let fence = script("fence", PackageResources.fence_lua, .history)
    static let check = script("check", PackageResources.check_lua, .history)
    static let stock = script("stock", PackageResources.stock_lua, .stock)
    static let delivery = script("delivery", PackageResources.delivery_lua, .sink)
    static let passed = script("passed", PackageResources.passed_lua, .sink)
    static let acknowledge = script("acknowledge", PackageResources.acknowledge_lua, .history)
    static let setAside = script("set_aside", PackageResources.set_aside_lua, .history)
    static let shut = script("shut", PackageResources.shut_lua)
    static let stockSwap = script("stock_swap", PackageResources.stock_swap_lua, .admitting)
    static let deliverAgain = script("deliver_again", PackageResources.deliver_again_lua, .history)
    static let plant = script("plant", PackageResources.plant_lua, .admitting)
    static let trim = script("trim", PackageResources.trim_lua, .history)
    static let open = script("open", PackageResources.open_lua, .opening)
    static let admission = script("admission", PackageResources.admission_lua, .admitting)
    static let admissionCount = script("admission_count", PackageResources.admission_count_lua, .admitting)
    static let upgrade = script("upgrade", PackageResources.upgrade_lua)
    static let leaseAcquire = script("lease_acquire", PackageResources.lease_acquire_lua)
    static let leaseRenew = script("lease_renew", PackageResources.lease_renew_lua)
    static let leaseRelease = script("lease_release", PackageResources.lease_release_lua)
    static let members = script("members", PackageResources.members_lua)
    static let report = script("report", PackageResources.report_lua)
    static let consumersRemove = script("consumers_remove", PackageResources.consumers_remove_lua)

    /// The script that runs a user's Lua; its first line is the second of the whole.
    ///
    /// - Parameters:
    ///   - name: What messages call it.
    ///   - text: What returns a function.
    /// - Returns: The script.
    static func own(_ name: String, _ text: String) -> RedisScript {
        let body = script("own", PackageResources.own_lua, .sink).source
        let end = body.firstIndex(of: "\n") ?? body.endIndex
        let own = "\nlocal own = (function(redis, KEYS, ARGV) \(text)\nend)()"
        return RedisScript(name: name, source: body[..<end] + own + body[end...])
    }

    /// The library of functions for producers in any language, as FUNCTION LOAD takes it.
    static let functions =
        "#!lua name=onewrite\n" + Prelude.appending.text + text(PackageResources.functions_lua)

    private enum Prelude {
        case none, history, admitting, window, opening, appending, sink, stock

        var text: String {
            switch self {
            case .none: ""
            case .history: Scripts.text(PackageResources.history_lua)
            case .admitting: Self.history.text + Scripts.text(PackageResources.admitting_lua)
            case .window: Scripts.text(PackageResources.window_lua)
            case .opening: Self.admitting.text + Self.window.text
            case .appending: Self.opening.text + Scripts.text(PackageResources.appending_lua)
            case .sink: Self.history.text + Scripts.text(PackageResources.sink_lua)
            case .stock: Self.admitting.text + Scripts.text(PackageResources.sink_lua)
            }
        }
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// The first line, `#!lua …`, must stay the first; the prelude goes behind it.
    private static func script(_ name: String, _ bytes: [UInt8], _ prelude: Prelude = .none) -> RedisScript {
        let source = text(bytes)
        let end = source.firstIndex(of: "\n") ?? source.endIndex
        return RedisScript(name: name, source: source[..<end] + "\n" + prelude.text + source[end...])
    }
}
