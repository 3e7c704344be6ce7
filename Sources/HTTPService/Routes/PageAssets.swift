/// The files that the page loads.
enum PageAssets {
    static let all: [(name: String, bytes: [UInt8])] = [
        ("style.css", PackageResources.style_css), ("app.js", PackageResources.app_js),
    ]

    static func type(of name: String) -> String {
        name.hasSuffix(".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8"
    }
}
