import Glibc

/// The path of a program that SwiftPM built beside the running executable; nil when there is none.
func builtProgram(_ name: String) -> String? {
    guard !name.contains("/"), let real = realpath("/proc/self/exe", nil) else { return nil }
    defer { free(real) }
    let path = String(cString: real).split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/\(name)"
    return access(path, X_OK) == 0 ? path : nil
}
