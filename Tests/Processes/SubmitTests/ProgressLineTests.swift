import Testing

@testable import OnewriteCommand

@Suite("The progress line")
struct ProgressLineTests {
    private let tally = SubmissionReport.Tally(accepted: 61_197, rejected: 3)

    @Test("of a file it shows how far it is, and how long it will take")
    func file() {
        #expect(
            SubmissionProgress.text(bytes: 612, of: 1000, tally, elapsed: 0.5)
                == " 61% ▕███████████████▉          ▏  61 200/~100 000  122 400/s  rejected 3  0.3s left")
        #expect(
            SubmissionProgress.text(bytes: 10, of: 100_000, tally, elapsed: 0.1).hasSuffix("16m 39s left"))
    }

    @Test("of a pipe it shows what is known")
    func pipe() {
        #expect(SubmissionProgress.text(bytes: 612, of: nil, tally, elapsed: 0.5) == " 61 200  122 400/s  rejected 3")
        #expect(SubmissionProgress.text(bytes: 0, of: 1000, .init(), elapsed: 0) == " 0  0/s")
    }
}
