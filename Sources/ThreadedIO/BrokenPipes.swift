import Glibc

/// Makes writing to a closed socket an error (`EPIPE`) instead of the end of the process.
///
/// The C clients write with plain `write(2)`, which raises SIGPIPE: call this first thing in `main`.
/// It holds for the whole process.
///
/// signal(7): <https://man7.org/linux/man-pages/man7/signal.7.html>
package func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
}
