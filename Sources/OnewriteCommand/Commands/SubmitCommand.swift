import ArgumentParser
import ChangeInput
import Connections
import Foundation
import OrderLog

/// `onewrite submit`.
struct SubmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Append orders: one by flags, or many from NDJSON or CSV.",
        discussion: """
            Examples:
              onewrite submit --id ord-1 --shop main --customer c-17 --line TEA:2
              onewrite submit orders.csv --rejects bad.ndjson
              generate | onewrite submit - --json
              onewrite submit orders.csv --format shopify --shop main --dry-run
              onewrite submit a.csv --map id=No,shop=@x,customer=Who,sku=Item,quantity=Qty

            NDJSON is an object a line, CSV has a header and consecutive rows of one ID are one order:
              {"id":"o-1","shop":"s-1","customer":"c","lines":[{"sku":"TEA","quantity":2}]}
              id,shop,customer,sku,quantity
            Where other orders' rows stand between them it is rejected; so far apart that it can't be seen, a conflict.

            What a shop's own system exports is read with --format, or with --map for any other: a CSV with commas, semicolons or \
            tabs, in UTF-8, UTF-16 or Windows-1252; of Shopify, WooCommerce and Magento the JSON of webhooks and APIs. An order's \
            rows needn't stand together there; cancelled orders become an order and its cancellation. What gzip or zstd \
            compressed is read as it is.

            An ID is taken once: whatever broke, submit the same again. Exit codes: 0 all of it is in the log; 65 a row was \
            rejected, or its ID is there with another payload; 75 try again; 69 no server within --timeout, and nothing was sent.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case ndjson, csv, shopify, woocommerce, magento, amazon, etsy, ebay

        /// The export that it is; nil for our own formats.
        var export: KnownExport? { KnownExport(rawValue: rawValue) }

        /// How it is written; nil when that is to be told from the file.
        var input: InputFormat? {
            switch self {
            case .ndjson: .ndjson
            case .csv: .csv
            case .shopify, .woocommerce, .magento, .amazon, .etsy, .ebay: nil
            }
        }
    }

    enum OnError: String, ExpressibleByArgument, CaseIterable {
        case `continue`, stop
    }

    @Argument(help: "A file of changes; - is standard input.", completion: .file())
    var file: String?

    @Option(help: "The order's ID, which makes submitting it again harmless.")
    var id: String?

    @Option(help: "The shop.")
    var shop: String?

    @Option(help: "Who ordered.")
    var customer: String?

    @Option(
        name: .customLong("line"), help: ArgumentHelp("A line of the order; repeat it.", valueName: "SKU:quantity"),
        transform: ItemArgument.init)
    var lines: [ItemArgument] = []

    @Option(help: ArgumentHelp("A JSON object that goes to the stores untouched.", valueName: "JSON"))
    var attributes: String?

    @Option(help: "How the file is written (default: told from its name, or its beginning).")
    var format: Format?

    @Option(
        help: ArgumentHelp(
            """
            Where an export has what: columns, or @ and a value, for id, shop, customer, sku, name, quantity, attributes \
            or attributes.NAME, cancelled, only, skip and refunded; or @ and a file that says so.
            """,
            valueName: "PART=COLUMN,…"))
    var map: String?

    @Option(
        help: ArgumentHelp(
            "What becomes of an export's items without a SKU: refuse their order, skip them, or know them by their name.",
            valueName: "refuse|skip|name"), completion: .list(ExportMapping.MissingSKU.allCases.map(\.rawValue)))
    var noSku: String?

    @Option(
        help: ArgumentHelp(
            """
            Reject orders with more of a SKU than this: a typing error, perhaps (default: \(Limits.quantity.upperBound)). With a \
            shop's name for that shop; repeat it.
            """, valueName: "[SHOP=]n"), transform: QuantityLimit.init)
    var maxQuantity: [QuantityLimit] = []

    @Flag(
        inversion: .prefixedNo,
        help: """
            Ask Postgres which orders are there already, however long ago they were submitted: beyond the idempotency window the \
            log would take them again (default: for exports).
            """)
    var ledgerCheck: Bool?

    @Flag(help: "Read all of the file, say what would be sent, and send nothing.")
    var dryRun = false

    @Option(
        help: ArgumentHelp(
            """
            Where rejected rows go: as NDJSON with line, field and error; of a CSV, to a name that ends with .csv, as a CSV that can \
            be mended and submitted.
            """, valueName: "file"),
        completion: .file())
    var rejects: String?

    @Option(
        help: """
            What a bad row does: continue with the others; or stop, so that none goes in, and nothing behind an ID that is in \
            the log with another payload.
            """)
    var onError = OnError.continue

    @OptionGroup var options: SubmitOptions

    func validate() throws {
        let flags = [
            ("--id", id != nil), ("--shop", shop != nil), ("--customer", customer != nil), ("--line", !lines.isEmpty),
            ("--attributes", attributes != nil),
        ]
        if let doubled = maxQuantity.indices.first(where: {
            maxQuantity[..<$0].map(\.shop).contains(maxQuantity[$0].shop)
        }) {
            let shop = maxQuantity[doubled].shop.map { " for shop \(FieldError.quote($0.text))" } ?? ""
            throw ValidationError("--max-quantity is there twice\(shop)")
        }
        if let file {
            if MistypedWord.names(of: Self.self).contains(file), !FileManager.default.fileExists(atPath: file) {
                throw ValidationError("there is no file \(file). Did you mean --\(file)?")
            }
            let isExport = map != nil || format?.export != nil
            if let flag = flags.first(where: { $0.1 && !(isExport && $0.0 == "--shop") }) {
                throw ValidationError("\(flag.0) doesn't go with a file")
            }
            if !isExport, noSku != nil { throw ValidationError("--no-sku goes with --map or an export's --format") }
            _ = try shape()
            return
        }
        if flags.allSatisfy({ !$0.1 }) {
            throw ValidationError("give a FILE, - for standard input, or one order by --id --shop --customer --line")
        }
        if let missing = flags.dropLast().first(where: { !$0.1 }) { throw ValidationError("\(missing.0) is missing") }
        if rejects != nil || format != nil || onError != .continue || map != nil || noSku != nil || dryRun
            || ledgerCheck != nil
        {
            throw ValidationError(
                "--rejects, --format, --map, --no-sku, --ledger-check, --dry-run and --on-error go with a file")
        }
    }

    /// Where an export has what; nil for our own formats.
    ///
    /// - Returns: What is known of it, with what the other options say.
    /// - Throws: `ValidationError`.
    private func shape() throws -> ExportShape? {
        guard map != nil || format?.export != nil else { return nil }
        let own = try map.map { try Self.mapText($0) }
        do throws(FieldError) {
            let changes = try own.map { text throws(FieldError) in try ExportMapping(text) }
            return try (format?.export?.shape ?? ExportShape(ExportMapping())).changed {
                mapping throws(FieldError) in try complete(&mapping, changes)
            }
        } catch {
            throw ValidationError("--\(error)")
        }
    }

    /// Has a mapping say what the options say.
    private func complete(_ mapping: inout ExportMapping, _ changes: ExportMapping?) throws(FieldError) {
        if let changes { mapping.override(with: changes) }
        if let shop { mapping.setShop(shop.inNormalForm) }
        if let noSku {
            guard let chosen = ExportMapping.MissingSKU(rawValue: noSku) else {
                throw FieldError("no-sku", "expected refuse, skip or name, got \(FieldError.quote(noSku))")
            }
            mapping.missingSKU = chosen
        }
        let missing = mapping.missingParts.map(\.rawValue)
        guard missing.isEmpty else {
            throw FieldError(
                "map",
                "says nothing of \(missing.joined(separator: ", "))"
                    + (missing.contains("shop") ? ": --shop NAME for all orders, or shop=COLUMN" : ""))
        }
    }

    /// What `--map` says: itself, or with `@` what the file says that it names.
    private static func mapText(_ map: String) throws -> String {
        guard map.hasPrefix("@") else { return map }
        do {
            return try String(contentsOfFile: String(map.dropFirst()), encoding: .utf8)
        } catch {
            throw ValidationError("--map: can't read \(map.dropFirst()): \(error.localizedDescription)")
        }
    }

    func run() async throws {
        guard let file else { return try await submitOne() }
        let shape = try shape()
        let submission = FileSubmission(
            path: file, format: format.flatMap(\.input), shape: shape, rejectsPath: rejects,
            onError: onError == .stop ? .stop : .goOn, maxQuantity: maxQuantity,
            checksLedger: ledgerCheck ?? (shape != nil), isDry: dryRun,
            options: options,
            servers: try await options.servers(name: "onewrite-submit"))
        try await StopRequest.handlingSignals(saying: "stopping: waiting for the answers in flight") { stop in
            try await CommandLane().run { _ in try submission.run(stop) }
        }
    }

    private func submitOne() async throws {
        let draft = ChangeDraft(
            id: id, shop: shop, customer: customer, lines: .items(lines.map(\.item)), attributes: attributes)
        let change = try Change(flags: draft)
        if let error = maxQuantity.error(of: change) { throw Failure(.badRows, error.description) }
        try await options.submit(change, to: try await options.servers(name: "onewrite-submit"))
    }
}

/// `SKU:quantity` on the command line.
struct ItemArgument {
    let item: ChangeDraft.Item

    /// Parts the text; whether SKU and quantity may be so is the log's to say.
    init(_ text: String) throws {
        guard let colon = text.lastIndex(of: ":") else {
            throw ValidationError("expected SKU:quantity, got \(FieldError.quote(text))")
        }
        item = (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }
}

/// The most of a SKU that an order may have: `500`, or `main=500` for one shop.
struct QuantityLimit: Sendable {
    /// nil for all that have none of their own.
    let shop: Name?
    let most: Int64

    init(_ text: String) throws {
        let equals = text.lastIndex(of: "=")
        shop = equals.map { Name(String(text[..<$0]).inNormalForm) }
        let number = equals.map { text[text.index(after: $0)...] } ?? text[...]
        guard let most = Int64(number), Limits.quantity.contains(most) else {
            throw ValidationError(
                "expected 1 to \(Limits.quantity.upperBound), or SHOP= and that, got \(FieldError.quote(text))")
        }
        self.most = most
    }
}

extension [QuantityLimit] {
    /// What is wrong with an order of more than is thought possible; nil for what is within it.
    func error(of change: Change) -> FieldError? {
        let own = first { $0.shop == Name(change.shop) } ?? first { $0.shop == nil }
        guard let own, let line = change.lines.items.first(where: { $0.quantity > own.most }) else { return nil }
        return FieldError(
            "quantity",
            "\(FieldError.quote(line.sku)) is ordered \(FieldError.spaced(line.quantity)) times, and --max-quantity is "
                + FieldError.spaced(own.most) + (own.shop.map { " for \(FieldError.quote($0.text))" } ?? ""))
    }
}

extension Change {
    /// Makes a change of what was given by flags.
    ///
    /// - Throws: ``Failure`` that names the field.
    init(flags draft: ChangeDraft) throws {
        do throws(FieldError) {
            try self.init(draft.inNormalForm)
        } catch {
            throw Failure(.badRows, error.description)
        }
    }
}
