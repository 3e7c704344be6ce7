import CHTTPClient

extension HTTPPoster {
    /// The version of the libcurl that is loaded, such as `7.88.1`.
    ///
    /// libcurl: <https://curl.se/libcurl/c/curl_version_info.html>
    package static var libraryVersion: String { String(cString: ow_http_library_version()) }
}
