import Glibc

/// A temporary directory for private servers, removed when this process lets go of it or ends in any way.
///
/// A small shell process of its own waits for our end, even by `kill -9`, then for the servers', and removes the
/// directory. The path is short, since a unix socket's holds at most 107 bytes.
///
/// unix(7): <https://man7.org/linux/man-pages/man7/unix.7.html>
package final class PrivateDirectory: Sendable {
    /// The directory's path, `/tmp/onewrite-` and six characters.
    package let path: String
    private let sweeper: ChildProcess

    /// Makes the directory.
    package init() async throws(ServerError) {
        // Not TMPDIR: it may be too long for a socket, and closed to the user that Postgres runs as.
        var template = Array("/tmp/onewrite-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .refused(operation: "make a directory in /tmp", errno: errno) }
        let path = template.withUnsafeBufferPointer { bytes in
            bytes.baseAddress.map { String(cString: $0) } ?? ""
        }
        // As root, Postgres runs as another user, who has to get through here to its own part.
        if getuid() == 0 { chmod(path, 0o711) }
        self.path = path
        do {
            sweeper = try await ChildProcess.spawn(
                ["/bin/sh", "-c", Self.sweep, "sweep", path], in: "/", input: .held, output: .discarded,
                errors: .discarded, parentDeathSignal: nil)
        } catch {
            rmdir(path)
            throw ServerError(error)
        }
    }

    /// Removes the directory; servers in it must have been stopped before.
    package func remove() async {
        sweeper.closeInput()
        await sweeper.stop(with: 0, within: .seconds(30))
    }

    /// Makes a part of the directory that only its owner may enter.
    func part(_ name: String, owner: (user: uid_t, group: gid_t)?) throws(ServerError) -> String {
        let part = "\(path)/\(name)"
        guard mkdir(part, 0o700) == 0 else { throw .refused(operation: "make \(part)", errno: errno) }
        if let owner, chown(part, owner.user, owner.group) != 0 {
            throw .refused(operation: "give away \(part)", errno: errno)
        }
        return part
    }

    /// Reads until its stdin ends, which is when we close it or end, then waits for each Postgres that shuts down.
    ///
    /// A Postgres that was killed leaves its pid file, and a System V segment named there, which the kernel keeps.
    private static let sweep = """
        trap '' HUP INT QUIT TERM
        read -r _
        for file in "$1"/*/data/postmaster.pid; do
            [ -f "$file" ] || continue
            pid=$(sed -n 1p "$file"); segment=$(sed -n '7s/.* //p' "$file"); tries=0
            while [ -f "$file" ] && kill -0 "$pid" && [ $tries -lt 100 ]; do tries=$((tries + 1)); sleep 0.05; done
            [ ! -f "$file" ] || [ -z "$segment" ] || ipcrm -m "$segment"
        done
        tries=0
        until rm -rf -- "$1" || [ $tries -ge 100 ]; do tries=$((tries + 1)); sleep 0.05; done
        """
}

extension ServerError {
    static func refused(operation: String, errno code: Int32) -> ServerError {
        .refused(operation: operation, reason: String(cString: strerror(code)))
    }
}
