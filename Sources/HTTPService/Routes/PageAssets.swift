/// The files that the page loads.
enum PageAssets {
    static let all: [(name: String, bytes: [UInt8])] = [
        ("api.js", PackageResources.api_js),
        ("app.js", PackageResources.app_js),
        ("audit.js", PackageResources.audit_js),
        ("charts.js", PackageResources.charts_js),
        ("dead.js", PackageResources.dead_js),
        ("dom.js", PackageResources.dom_js),
        ("grid.js", PackageResources.grid_js),
        ("group.js", PackageResources.group_js),
        ("order.js", PackageResources.order_js),
        ("overview.js", PackageResources.overview_js),
        ("state.js", PackageResources.state_js),
        ("stock.js", PackageResources.stock_js),
        ("style.css", PackageResources.style_css),
        ("theme.js", PackageResources.theme_js),
        ("verdict.js", PackageResources.verdict_js),
        ("words.js", PackageResources.words_js),
    ]

    static func type(of name: String) -> String {
        name.hasSuffix(".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8"
    }
}
