import Reports
import Synchronization

/// Carries questions from the dashboard's thread to the task that answers them, and the answers back.
///
/// One question is under way at a time, so neither side can fill up.
final class QuestionFeed<Question: Sendable, Answer: Sendable>: Sendable {
    private let pipe: DashboardPipe
    private let questions: AsyncStream<Question>
    private let continuation: AsyncStream<Question>.Continuation
    private let answer = Mutex<Answer?>(nil)

    /// Takes what an answer wakes.
    init(waking pipe: DashboardPipe) {
        self.pipe = pipe
        (questions, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Asks; the answer wakes the pipe.
    func ask(_ question: Question) { continuation.yield(question) }

    /// The answer that came, once.
    func takeAnswer() -> Answer? {
        answer.withLock { answer in
            defer { answer = nil }
            return answer
        }
    }

    /// Ends the answering.
    func finish() { continuation.finish() }

    /// Answers questions until ``finish()``, or until cancelled.
    func answer(with body: @Sendable (Question) async -> Answer) async {
        for await question in questions {
            let answer = await body(question)
            if Task.isCancelled { return }
            self.answer.withLock { $0 = answer }
            pipe.wake()
        }
    }
}

/// What the dashboard's thread asks of the tasks beside it.
final class DashboardFeeds: Sendable {
    /// A deed, and the plan that was confirmed.
    struct DeedQuestion: Sendable {
        let deed: Deed
        let plan: String?
    }

    let pipe: DashboardPipe
    let snapshots: QuestionFeed<PageQuery, Result<Snapshot, Snapshot.Unavailable>>
    let deeds: QuestionFeed<DeedQuestion, (deed: Deed, result: Result<Deed.Outcome, DeedFailure>)>
    private let stopped = Atomic(false)

    init() throws(DashboardError) {
        pipe = try DashboardPipe()
        snapshots = QuestionFeed(waking: pipe)
        deeds = QuestionFeed(waking: pipe)
    }

    /// Ends the dashboard and the answering.
    func stop() {
        stopped.store(true, ordering: .sequentiallyConsistent)
        snapshots.finish()
        deeds.finish()
        pipe.wake()
    }

    var isStopped: Bool { stopped.load(ordering: .sequentiallyConsistent) }
}
