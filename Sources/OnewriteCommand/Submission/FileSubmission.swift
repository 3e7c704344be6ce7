import ChangeInput
import Connections
import Foundation
import OrderLog
import RedisLog
import Reports
import Submission

/// Submits a file or standard input.
struct FileSubmission {
    enum OnError {
        /// Good rows go in.
        case goOn
        /// All rows are looked at first, and none goes in when one is bad; nothing behind a conflict goes in.
        case stop
    }

    let path: String
    let format: InputFormat?
    /// Where an export has what; nil for our own formats.
    let shape: ExportShape?
    let rejectsPath: String?
    let onError: OnError
    /// The most of a SKU that an order may have.
    let maxQuantity: [QuantityLimit]
    /// Whether Postgres is asked which orders are there already, however long ago they were submitted.
    let checksLedger: Bool
    /// Whether nothing is sent.
    let isDry: Bool
    let options: SubmitOptions
    let servers: Servers

    /// Does it, on the lane's thread.
    ///
    /// - Parameter stop: Ends it early.
    /// - Throws: ``Failure`` after the summary, when not every row is in the log.
    func run(_ stop: StopRequest) throws {
        var input = try SubmissionInput(path: path)
        let rejects = try rejectsPath.map { try RejectsFile(path: $0, besides: input.descriptor) }
        defer { rejects?.flush() }
        let format = format ?? (shape == nil ? InputFormat(path: path) : nil)
        do throws(InputError) {
            try input.verify(stop)
        } catch {
            throw ended(error, input, stop)
        }
        if isDry { return try rehearse(input, format, rejects, stop) }
        if onError == .stop {
            do {
                input = try input.repeatable(stop)
            } catch let error as InputError {
                throw ended(error, input, stop)
            }
            try check(input, format, rejects, stop)
            input.rewind()
        }
        try submit(input, format, rejects, stop)
    }

    /// Looks at every row, and throws when one is bad.
    private func check(
        _ input: SubmissionInput, _ format: InputFormat?, _ rejects: RejectsFile?, _ stop: StopRequest
    ) throws {
        let report = SubmissionReport(receipts: options.json ? OutputBuffer(stop: stop) : nil, rejects: rejects)
        var reader = ChangeReader(
            format: format, shape: shape, isReady: input.isReady(stop), read: input.bytes(stop) {}
        )
        var rows = 0
        do throws(InputError) {
            while let row = try reader.next().map(limited) {
                rows += 1
                if rejects?.hasBegun == false { rejects?.begin(reader.sheet) }
                guard case .failure(let error) = row.result else { continue }
                report.take(
                    RowReceipt(line: row.line, id: row.id, shop: nil, input: row.text, outcome: .rejected(error)))
            }
        } catch {
            throw ended(error, input, stop)
        }
        guard report.tally.refused > 0 else { return }
        report.flush()
        rejects?.flush()
        let summary =
            "nothing was submitted: \(FieldError.spaced(report.tally.refused)) of \(FieldError.spaced(rows)) "
            + "\(reader.readsOrders ? "orders" : "rows") rejected\(rejects.map { " → \($0.path)" } ?? "")"
        show([summary] + report.problemLines)
        throw Failure(.badRows, "")
    }

    /// A row with an order of more than is thought possible is a bad one.
    private func limited(_ row: InputRow) -> InputRow {
        guard case .success(let change) = row.result else { return row }
        // An export's cancellation follows its order, and goes where that goes.
        let isOrder = change.kind == .orderPlaced || shape != nil && change.kind == .orderCancelled
        guard isOrder, let error = maxQuantity.error(of: change) else { return row }
        return row.rejected(error)
    }

    private static let ordersShown = 3

    /// Says what would be sent, and sends nothing.
    private func rehearse(
        _ input: SubmissionInput, _ format: InputFormat?, _ rejects: RejectsFile?, _ stop: StopRequest
    ) throws {
        let report = SubmissionReport(receipts: nil, rejects: rejects)
        var reader = ChangeReader(
            format: format, shape: shape, isReady: input.isReady(stop), read: input.bytes(stop) {}
        )
        var (counts, lines, shown): ([Change.Kind: Int], Int, [String]) = ([:], 0, [])
        func take(_ row: InputRow, known outcome: RowReceipt.Outcome?) {
            switch row.result {
            case .success(let change):
                if let outcome {
                    return report.take(
                        RowReceipt(line: row.line, id: row.id, shop: nil, input: row.text, outcome: outcome))
                }
                counts[change.kind, default: 0] += 1
                lines += change.lines.items.count
                if shown.count < Self.ordersShown { shown.append(Self.text(change)) }
            case .failure(let error):
                report.take(
                    RowReceipt(line: row.line, id: row.id, shop: nil, input: row.text, outcome: .rejected(error)))
            }
        }
        // Who only looks does without Postgres when it isn't there.
        let ledger =
            checksLedger
            ? LedgerStage(
                servers, of: nil, patience: { Patience(for: .busyServers, interrupt: stop.interrupt) { _ in } },
                goesOnUnasked: true, take: take)
            : nil
        do throws(InputError) {
            while let row = try reader.next().map(limited) {
                (report.format, report.readsOrders) = (reader.format, reader.readsOrders)
                if rejects?.hasBegun == false { rejects?.begin(reader.sheet) }
                if let ledger { ledger.add(row) } else { take(row, known: nil) }
            }
            ledger?.flush()
        } catch {
            throw ended(error, input, stop)
        }
        rejects?.flush()
        let kinds = Change.Kind.allCases.compactMap { kind in
            counts[kind].map { "\(FieldError.spaced($0)) \(kind.rawValue)" }
        }
        let refused = report.tally.refused
        let summary =
            "nothing was sent; it would be " + (kinds.isEmpty ? "nothing" : kinds.joined(separator: " · "))
            + " with \(FieldError.spaced(lines)) line\(lines == 1 ? "" : "s")"
            + (report.tally.duplicates == 0 ? "" : " · \(FieldError.spaced(report.tally.duplicates)) there already")
            + (refused == 0 ? "" : " · \(FieldError.spaced(refused)) rejected")
        let unasked = ledger?.failure.map { error in
            "  Postgres couldn't be asked which are there already: \(LogError(anyOf: error)?.description ?? "\(error)")"
        }
        show(
            [summary] + [unasked].compactMap(\.self)
                + remarks(reader.leftOut, over: ledger?.over ?? 0, reader.foreignEncoding) + shown.map { "  \($0)" }
                + report.problemLines)
        if refused > 0 { throw Failure(.badRows, "") }
    }

    private static func text(_ change: Change) -> String {
        let lines = change.lines.items.prefix(4).map { "\($0.sku) × \($0.quantity)" }
        return [change.kind.rawValue, change.shop, change.id, change.customer ?? "", lines.joined(separator: ", ")]
            .map { sanitized($0) }.joined(separator: "  ") + (change.lines.items.count > 4 ? ", …" : "")
    }

    /// What was passed over in an export, and how it was read.
    private func remarks(_ leftOut: ChangeReader.LeftOut, over: Int = 0, _ encoding: String?) -> [String] {
        var lines: [String] = []
        if over > 0 {
            lines.append(
                "  \(FieldError.spaced(over)) order\(over == 1 ? " was" : "s were") cancelled or given back already")
        }
        if let encoding { lines.append("  read as \(encoding)") }
        if leftOut.items > 0 {
            let names = leftOut.names.map { FieldError.quote($0) }.joined(separator: ", ")
            lines.append(
                "  \(FieldError.spaced(leftOut.items)) item\(leftOut.items == 1 ? "" : "s") without a SKU left out: \(names)"
                    + (leftOut.items > leftOut.names.count ? " …" : ""))
        }
        if leftOut.unwantedItems > 0 {
            lines.append(
                "  \(FieldError.spaced(leftOut.unwantedItems)) item\(leftOut.unwantedItems == 1 ? "" : "s") left out by \"skip\""
            )
        }
        if leftOut.refunds > 0 {
            lines.append(
                "  of \(FieldError.spaced(leftOut.refunds)) order\(leftOut.refunds == 1 ? "" : "s") money was given back; what came back isn't read, tell it by onewrite return"
            )
        }
        if leftOut.orders > 0 {
            lines.append(
                "  \(FieldError.spaced(leftOut.orders)) order\(leftOut.orders == 1 ? "" : "s") without other items left out"
            )
        }
        if leftOut.unwanted > 0 {
            lines.append(
                "  \(FieldError.spaced(leftOut.unwanted)) order\(leftOut.unwanted == 1 ? "" : "s") left out by \"only\""
            )
        }
        return lines
    }

    /// What an input that ended early ends the command with; nothing was submitted.
    private func ended(_ error: InputError, _ input: SubmissionInput, _ stop: StopRequest) -> any Error {
        stop.exitStatus.map { Stopped(status: $0) } ?? input.failure(error)
    }

    private func submit(
        _ input: SubmissionInput, _ format: InputFormat?, _ rejects: RejectsFile?, _ stop: StopRequest
    ) throws {
        let report = SubmissionReport(receipts: options.json ? OutputBuffer(stop: stop) : nil, rejects: rejects)
        let isTyped = path == "-" && isatty(STDIN_FILENO) == 1
        let progress = SubmissionProgress(
            isWanted: !(options.json && Console.outputIsTerminal) && !isTyped, totalBytes: input.size)
        let cancellations = shape.map { _ in FollowingCancellations() }
        let submitter = try stop.submitter(
            servers, keepsInput: rejects != nil,
            notice: {
                progress.clear()
                Console.error($0)
            },
            take: { receipt in
                report.take(receipt)
                cancellations?.note(receipt)
            })
        let stretch = SubmissionStretch(submitter, report)
        func send(_ row: InputRow, known outcome: RowReceipt.Outcome?) {
            if onError == .stop {
                stretch.add(row, known: outcome)
            } else if let cancellations {
                cancellations.add(row, known: outcome, to: submitter)
            } else {
                submitter.add(row, known: outcome)
            }
        }
        let ledger =
            checksLedger
            ? LedgerStage(
                servers, of: submitter.identity,
                patience: {
                    Patience(servers.configuration.timeout, for: .allServers, interrupt: stop.interrupt) {
                        progress.clear()
                        Console.error($0)
                    }
                }, take: send) : nil
        var reader = ChangeReader(
            format: format, shape: shape, isReady: input.isReady(stop),
            read: input.bytes(stop) { () throws(InputError) in
                // Stopping at an error, it is only sent what was looked at together.
                if onError == .goOn {
                    ledger?.flush()
                    cancellations?.finish(submitter)
                    submitter.settle()
                }
                report.flush()
                // Nothing goes on behind it: what else comes needn't be waited for.
                if ledger?.failure != nil { throw .unreadable(errno: ECANCELED) }
            })
        var failure: InputError?
        do throws(InputError) {
            while submitter.canGoOn, ledger?.failure == nil, !hasStopped(report),
                let row = try reader.next().map(limited)
            {
                (report.format, report.readsOrders) = (reader.format, reader.readsOrders)
                if rejects?.hasBegun == false { rejects?.begin(reader.sheet) }
                if let ledger { ledger.add(row) } else { send(row, known: nil) }
                progress.update(bytes: input.isCompressed ? input.bytesRead : reader.bytesConsumed, report.tally)
            }
            if submitter.canGoOn { ledger?.flush() }
            stretch.send()
        } catch {
            // Being stopped ends the input too, and is no trouble with it.
            if !stop.isRequested, ledger?.failure == nil { failure = error }
            if failure != nil, onError == .goOn, submitter.canGoOn { ledger?.flush() }
        }
        cancellations?.finish(submitter)
        submitter.finish()
        report.flush()
        rejects?.flush()
        progress.clear()
        if let failure, report.tally.total == 0 { throw input.failure(failure) }
        let unasked = ledger?.failure.map { error in
            LogError(anyOf: error)?.adding(". Submit the same again; --no-ledger-check goes without Postgres") ?? error
        }
        if let unasked, report.tally.total == 0, stop.exitStatus == nil { throw unasked }
        var remarks = remarks(reader.leftOut, over: ledger?.over ?? 0, reader.foreignEncoding)
        if report.tally.total > 1, report.tally.duplicates == report.tally.total {
            remarks.append("  all of it was in the log already")
        }
        show([report.summary] + remarks + report.problemLines + (hasStopped(report) ? [report.stopLine] : []))
        try conclude(submitter.end, report.tally, failure.map(input.failure), stop)
        if let unasked {
            // Something was sent before: that is another answer than that no server is there.
            throw LogError(anyOf: unasked).map { $0.kind == .unreachable ? LogError(.tryAgain, $0.message) : $0 }
                ?? unasked
        }
        try stop.wait(for: report.targets, in: options.wait?.groups() ?? [], servers)
        if report.tally.refused > 0 { throw Failure(.badRows, "") }
        if report.tally.uncovered > 0 { throw Failure(.no, "") }
    }

    /// Whether a row was refused, and nothing behind it is to be sent.
    private func hasStopped(_ report: SubmissionReport) -> Bool { onError == .stop && report.tally.refused > 0 }

    /// The summary is data unless the receipts are.
    private func show(_ lines: [String]) {
        let text = lines.joined(separator: "\n")
        if options.json { Console.error(text) } else { Console.print(text) }
    }

    /// Throws unless everything was read, and has a certain outcome.
    private func conclude(
        _ end: Submitter.End?, _ tally: SubmissionReport.Tally, _ failure: Failure?, _ stop: StopRequest
    ) throws {
        let again = "Submit the same again: what is in the log is not taken twice"
        switch end {
        case .failed(let failure): throw failure
        case .gaveUp(let reason): throw Failure(.tryAgain, "gave up: \(reason). \(again)")
        case .stopped, nil: break
        }
        if let status = stop.exitStatus {
            Console.error("stopped before the end of \(path == "-" ? "the input" : path). \(again)")
            throw Stopped(status: status)
        }
        if let failure { throw failure }
    }
}

/// A signal ended the command, and everything has been said.
struct Stopped: Error {
    let status: Int32
}
