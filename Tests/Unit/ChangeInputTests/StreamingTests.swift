import ChangeInput
import Glibc
import Harness
import OrderLog
import TestSupport
import Testing

@Suite struct StreamingTests {
    private static let ndjson = """
        {"id":"1","shop":"s","customer":"J\\u00f6rg 茶 \\ud83c\\udf75","lines":[{"sku":"A","quantity":2}],"attributes":{"é":[1]}}\r

        {"id":"2","shop":"s","customer":"c","lines":"A:1"}
        {"id":"3","shop":"s","customer":"c","lines":"A:0"}
        {"id":"4
        \u{0}
        {"id":"5","shop":"s","customer":"茶","lines":"A:1"}
        """

    private static let csv = """
        id,shop,customer,sku,quantity,attributes\r
        1,s,"J ""茶""
        x",A,1,\r
        2,s,c,A,1,"{""é"":[1]}"
        2,s,c,B,1,

        3,s,"c"x,A,1,
        4,s,c,A,1,
        5,s,c,A,1,
        6,s,"c,A,1,
        """

    @Test("it makes no difference where the input is cut into chunks", arguments: [ndjson, csv])
    func chunks(input: String) throws {
        for bytes in [Array(input.utf8), Array("\u{FEFF}\(input)\n".utf8)] {
            let whole = try read(bytes).map(\.everything)
            #expect(whole.count >= 6)
            for chunk in 1..<bytes.count {
                #expect(try read(bytes, chunk: chunk).map(\.everything) == whole, "chunks of \(chunk)")
            }
        }
    }

    @Test("random bytes and slips never crash the reader, nor depend on its chunks")
    func fuzz() throws {
        let seed = ProcessSeed.take()
        var random = SeededGenerator(seed: seed)
        let alphabet = Array("{}[]\",:\\u0d8e19 \n\r\tidA茶\u{0}".utf8) + [0xFF, 0xC3]
        for turn in 0..<3000 {
            var input = turn % 3 == 0 ? [] : Array((turn % 3 == 1 ? Self.ndjson : Self.csv).utf8)
            for _ in 0..<Int.random(in: 1...(input.isEmpty ? 200 : 4), using: &random) {
                let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
                let place = Int.random(in: 0...input.count, using: &random)
                if place < input.count, Bool.random(using: &random) {
                    input[place] = byte
                } else {
                    input.insert(byte, at: place)
                }
            }
            let format: InputFormat = turn.isMultiple(of: 2) ? .csv : .ndjson
            let outcomes = [1, 5, .max].map { chunk -> [String] in
                do throws(InputError) {
                    return try read(input, format: format, chunk: chunk).map(\.everything)
                } catch {
                    return [error.description]
                }
            }
            #expect(Set(outcomes).count == 1, "seed \(seed), turn \(turn)")
        }
    }

    @Test(
        "the format is told from the beginning",
        arguments: [
            (" \n{\"id\":1}", InputFormat.ndjson), ("\u{FEFF}{}", .ndjson), ("", .ndjson), ("\n \n", .ndjson),
            ("id,shop,customer,sku,quantity\n", .csv), ("\u{FEFF}id,shop,customer,sku,quantity", .csv),
        ])
    func detects(input: String, expected: InputFormat) throws {
        for chunk in [1, 1000] {
            var rest = Array(input.utf8)[...]
            var reader = ChangeReader(format: nil) {
                defer { rest = rest.dropFirst(chunk) }
                return rest.isEmpty ? nil : Array(rest.prefix(chunk))
            }
            while try reader.next() != nil {}
            #expect(reader.format == expected)
            #expect(reader.bytesConsumed == input.utf8.count)
        }
    }

    @Test("a file's ending tells its format")
    func detectsByName() {
        #expect(InputFormat(path: "a/Orders.CSV") == .csv)
        #expect(InputFormat(path: "orders.jsonl") == .ndjson)
        #expect(InputFormat(path: "orders.ndjson") == .ndjson)
        #expect(InputFormat(path: "csv") == nil)
    }

    @Test("an input that breaks off gives no order that may be cut")
    func breaksOff() throws {
        var chunks: [[UInt8]] = [Array("id,shop,customer,sku,quantity\n1,s,c,A,1\n2,s,c,A,1\n".utf8)]
        var reader = ChangeReader(format: nil) { () throws(InputError) in
            guard let chunk = chunks.popLast() else { throw .unreadable(errno: EIO) }
            return chunk
        }
        #expect(try reader.next()?.change?.id == "1")
        for _ in 0..<2 {
            do throws(InputError) {
                _ = try reader.next()
                Issue.record("expected a throw")
            } catch {
                #expect(error == .unreadable(errno: EIO))
                #expect(error.description == "the input can't be read: Input/output error")
            }
        }
    }

    @Test("a descriptor is read to its end, blocking or not")
    func readsDescriptor() async throws {
        for isBlocking in [true, false] {
            var ends: [CInt] = [0, 0]
            try #require(pipe(&ends) == 0)
            let (readEnd, writeEnd) = (ends[0], ends[1])
            if !isBlocking { try #require(fcntl(readEnd, F_SETFL, O_NONBLOCK) == 0) }
            let line = Array(#"{"id":"1","shop":"s","customer":"c","lines":"A:1"}"#.utf8) + [0x0A]
            // More than a pipe holds: reader and writer have to take turns.
            let writer = Task.detached {
                for _ in 0..<20_000 { _ = write(writeEnd, line, line.count) }
                close(writeEnd)
            }
            let source = DescriptorSource(readEnd)
            var reader = ChangeReader(format: nil, read: source.read)
            var count = 0
            while let row = try reader.next() { count += row.change == nil ? 0 : 1 }
            await writer.value
            close(readEnd)
            #expect(count == 20_000)
        }
    }

    @Test("a descriptor that can't be read says why")
    func unreadableDescriptor() {
        #expect(throws: InputError.unreadable(errno: EBADF)) { try DescriptorSource(-1).read() }
    }
}
