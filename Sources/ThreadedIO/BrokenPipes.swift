import Glibc

/// Makes writing to a closed socket, or pipe, an error (`EPIPE`) instead of the end of the process.
///
/// For programs of our own, first thing in `main`: it holds for the whole process, standard output included.
///
/// signal(7): <https://man7.org/linux/man-pages/man7/signal.7.html>
package func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
}

/// The same for the calling thread alone: the C clients write with plain `write(2)`, and an application's signals are its own.
///
/// A signal that `write(2)` raises goes to the thread that wrote; blocked, it stays pending there, and nobody takes it.
///
/// pthread_sigmask(3): <https://man7.org/linux/man-pages/man3/pthread_sigmask.3.html>
func blockBrokenPipes() {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
}
