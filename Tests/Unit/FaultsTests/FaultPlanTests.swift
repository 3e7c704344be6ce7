import Faults
import Testing

@Suite("What ONEWRITE_FAULT says")
struct FaultPlanTests {
    @Test("several faults are read, each with its point, action and pass")
    func reads() throws {
        let faults = try #require(FaultPlan.parse("afterRead:kill:3,commitSent:delay=200ms:1"))
        #expect(faults.map(\.point) == [.afterRead, .commitSent])
        #expect(faults.map(\.action) == [.kill, .delay(milliseconds: 200)])
        #expect(faults.map(\.nth) == [3, 1])
    }

    @Test("the formats that a process is to know are a range; anything else is refused")
    func formats() {
        #expect(FaultPlan.parse(formats: "1-1") == 1...1)
        #expect(FaultPlan.parse(formats: "2-3") == 2...3)
        for text in ["", "1", "0-1", "2-1", "1-", "1-2-3", "a-b"] { #expect(FaultPlan.parse(formats: text) == nil) }
    }

    @Test(
        "what can't be read is refused",
        arguments: [
            "", "afterRead", "afterRead:kill", "afterread:kill:1", "afterRead:burn:1", "afterRead:kill:0",
            "afterRead:kill:1,", "afterRead:delay:1", "afterRead:delay=0ms:1", "afterRead:delay=60001ms:1",
            "afterRead:delay=5s:1",
        ])
    func refuses(text: String) {
        #expect(FaultPlan.parse(text) == nil)
    }
}
