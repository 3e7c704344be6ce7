import Foundation
import OrderLog
import TestSupport
import Testing

@testable import ChangeInput

@Suite("Exports of shops")
struct ExportTests {
    private func read(
        _ input: [UInt8], _ shape: ExportShape, chunk: Int = .max
    ) throws -> (rows: [String], leftOut: ChangeReader.LeftOut, encoding: String?) {
        var rest = input[...]
        var reader = ChangeReader(format: nil, shape: shape) {
            if rest.isEmpty { return nil }
            let next = Array(rest.prefix(chunk))
            rest = rest.dropFirst(next.count)
            return next
        }
        var rows: [String] = []
        while let row = try reader.next() { rows.append(row.summary) }
        return (rows, reader.leftOut, reader.foreignEncoding)
    }

    private func read(
        _ export: KnownExport, _ file: String, noSKU: ExportMapping.MissingSKU = .refuse,
        only: ExportMapping? = nil
    ) throws -> (rows: [String], leftOut: ChangeReader.LeftOut, encoding: String?) {
        let path = Repository.root.appending(path: "Tests/Fixtures/exports/\(file)").path
        let shape = export.shape.changed { mapping in
            mapping.setShop("main")
            mapping.missingSKU = noSKU
            if let only { mapping.override(with: only) }
        }
        let bytes = Array(try #require(FileManager.default.contents(atPath: path)))
        let whole = try read(bytes, shape)
        // In pieces it is the same.
        for chunk in [7, 64] {
            let pieces = try read(bytes, shape, chunk: chunk)
            #expect(pieces.rows == whole.rows && pieces.encoding == whole.encoding)
        }
        return whole
    }

    @Test("JSON of Shopify's API: members by their paths, in the list that it answers with, cancelled, without a SKU")
    func shopifyJSON() throws {
        let missing = "--no-sku skip leaves such items out, --no-sku name knows them by their name"
        let refused = try read(.shopify, "shopify.json")
        #expect(
            refused.rows == [
                "main/#1001 ana@example.com TEE%20RED/M:2 MUG-1:1", "main/#1002 bo@example.com MUG-1:1",
                "order.cancelled main/#1002/cancel #1002 MUG-1:1",
                "line 20: sku: is missing for \"Tip\": \(missing)",
                "line 28: sku: is missing for \"Gift card 25 €\": \(missing)",
            ])
        let skipped = try read(.shopify, "shopify.json", noSKU: .skip)
        #expect(skipped.rows.suffix(1) == ["main/#1003 Zoë Ohnepost CAFÉ-1:3"] && skipped.rows.count == 4)
        #expect(skipped.leftOut.items == 2 && skipped.leftOut.orders == 1)
        let paid = try read(
            .shopify, "shopify.json", noSKU: .name, only: ExportMapping("only=financial_status~paid/voided"))
        #expect(paid.rows.suffix(1) == ["main/#1004 cy@example.com Gift%20card%2025%20€:1"])
        #expect(paid.rows.count == 4 && paid.leftOut.unwanted == 1 && paid.leftOut.orders == 0)
    }

    @Test("JSON of WooCommerce's API, a list and an object a line; another export's is refused, unless it is mapped")
    func wooCommerceJSON() throws {
        let read = try read(.woocommerce, "woocommerce.json", only: ExportMapping("only=status~processing/refunded"))
        #expect(
            read.rows == [
                "main/727 ana@example.com POT-1:2 MUG-1:1", "main/728 27 MUG-1:3",
                "order.cancelled main/728/cancel 728 MUG-1:3",
            ])
        #expect(read.leftOut.unwanted == 1)
        let line = #"{"no":7,"who":{"name":"c"},"items":[{"code":"A","n":2},7,{"code":"B","n":"1.0"}],"x":[[{}]]}"#
        var own = try ExportMapping(
            """
            # Comments, and a part a line.
            id=no, customer=who.name
            sku=items.code
            quantity=items.n
            """)
        own.setShop("s")
        let mapped = try self.read(Array("\(line)\n{\"no\":8,\"items\":[]}\nx\n\(line)".utf8), ExportShape(own))
        #expect(mapped.rows.first == "s/7 c A:2 B:1" && mapped.rows.last == "s/7 c A:2 B:1")
        #expect(mapped.rows.count == 3 && mapped.rows[1].contains("line 3: expected a JSON object"), "\(mapped.rows)")
        #expect(throws: InputError.self) { try self.read(Array(line.utf8), KnownExport.etsy.shape) }
        let flagged = [1, 2].map {
            #"{"no":\#($0),"who":{"name":"c"},"items":[{"code":"A","n":1}],"gone":\#($0 == 2)}"#
        }
        own.override(with: try ExportMapping("cancelled=gone"))
        let cancelled = try self.read(Array(flagged.joined(separator: "\n").utf8), ExportShape(own))
        #expect(cancelled.rows == ["s/1 c A:1", "s/2 c A:1", "order.cancelled s/2/cancel 2 A:1"])
    }

    @Test("JSON of Magento's API: what was chosen once, what a bundle is made of, and pages behind each other")
    func magentoJSON() throws {
        let orders = [
            "main/000000007 ana@example.com TEE-RED-M:2 MUG-1:5 POT-1:2", "main/000000008 bo@example.com MUG-1:3",
            "order.cancelled main/000000008/cancel 000000008 MUG-1:3",
        ]
        let page = try read(.magento, "magento.json")
        #expect(page.rows == orders && page.leftOut.unwantedItems == 2 && page.leftOut.items == 0)
        let shape = KnownExport.magento.shape.changed { $0.setShop("main") }
        let path = Repository.root.appending(path: "Tests/Fixtures/exports/magento.json").path
        let bytes = Array(try #require(FileManager.default.contents(atPath: path)))
        for chunk in [3, 100, .max] {
            #expect(try read(bytes + bytes, shape, chunk: chunk).rows == orders + orders)
        }
        // As one order comes by itself, and a list of them.
        let one = ##"{"increment_id":"9","customer_email":"c","items":[{"sku":"A","qty_ordered":2.0000}]}"##
        for text in [one, "[\(one)]", "{\"items\":[\(one)],\"total_count\":1}\n"] {
            #expect(try read(Array(text.utf8), shape).rows == ["main/9 c A:2"], "\(text)")
        }
        let wrong = one.replacing("2.0000", with: "1.5")
        #expect(
            try read(Array("{\"items\":[\n\(one),\n\(wrong)],\"total_count\":2}\n\(one)".utf8), shape).rows == [
                "main/9 c A:2", "line 3: quantity: expected a whole number from 1 to 1 000 000, got \"1.5\"",
                "main/9 c A:2",
            ])
        // Asked for without what tells a chosen product from a bundle's part.
        let fewer = one.replacing("}]}", with: #"},{"sku":"A","qty_ordered":2,"parent_item_id":7}]}"#)
        #expect(
            try read(Array(fewer.utf8), shape).rows == [
                "line 1: items.parent_item.product_type: is missing: without it nobody can tell whether the item counts"
            ])
        let grid = #expect(throws: InputError.self) { try read(Array("ID,Bill-to Name\n9,Ana".utf8), shape) }
        #expect(grid?.description.contains("Take its JSON, or --map") == true)
    }

    @Test("items that are none are left out, and counted; a column that isn't there is said")
    func skippedItems() throws {
        let mapping = try ExportMapping("id=No,shop=@s,customer=Who,sku=Item,quantity=N,skip=Parent|Type~set/tip")
        let text = "No,Who,Item,N,Parent,Type\n1,c,SET,x,,Set\n1,c,A,2,,\n1,c,A,2,7,\n2,d,TIP,1,,tip\n"
        let read = try read(Array(text.utf8), ExportShape(mapping))
        #expect(read.rows == ["s/1 c A:2"] && read.leftOut.unwantedItems == 3 && read.leftOut.orders == 1)
        #expect(throws: InputError.self) { try self.read(Array("No,Who,Item,N\n1,c,A,2\n".utf8), ExportShape(mapping)) }
        // A set's SKU needn't be one.
        let strict = try ExportMapping("id=No,shop=@s,customer=Who,sku=Item~^A,quantity=N,skip=Type~set")
        #expect(
            try self.read(Array("No,Who,Item,N,Type\n1,c,SET,1,set\n1,c,A,2,\n".utf8), ExportShape(strict)).rows == [
                "s/1 c A:2"
            ])
    }

    @Test(
        "orders of which money was given back are counted, unless they are cancelled",
        arguments: [
            (
                KnownExport.shopify,
                #"{"name":"1","email":"c","financial_status":"partially_refunded","line_items":[{"sku":"A","quantity":1}]}"#,
                1
            ),
            (
                .shopify,
                #"{"name":"1","email":"c","financial_status":"refunded","cancelled_at":"x","line_items":[{"sku":"A","quantity":1}]}"#,
                0
            ),
            (
                .shopify,
                "Name,Email,Financial Status,Lineitem quantity,Lineitem sku\n1,c,refunded,1,A\n2,c,paid,1,A\n1,,,1,B", 1
            ),
            (
                .woocommerce,
                #"{"number":"1","billing":{"email":"c"},"refunds":[{"id":7}],"line_items":[{"sku":"A","quantity":1}]}"#,
                1
            ),
            (
                .woocommerce,
                #"{"number":"1","billing":{"email":"c"},"refunds":[],"line_items":[{"sku":"A","quantity":1}]}"#, 0
            ),
            (
                .woocommerce,
                "order_id,billing_email,item_sku,item_quantity,refunded_total\n1,c,A,1,0.00\n2,c,A,1,-10.50", 1
            ),
            (
                .magento,
                #"{"increment_id":"1","customer_email":"c","total_refunded":0,"items":[{"sku":"A","qty_ordered":1}]}"#,
                0
            ),
            (
                .magento,
                #"{"increment_id":"1","customer_email":"c","total_refunded":9.5,"items":[{"sku":"A","qty_ordered":1}]}"#,
                1
            ),
        ])
    func refunds(export: KnownExport, text: String, count: Int) throws {
        let read = try read(Array(text.utf8), export.shape.changed { $0.setShop("s") })
        #expect(read.leftOut.refunds == count && read.rows.first?.hasPrefix("s/1 c A:1") == true, "\(read)")
    }

    @Test("columns become members of attributes: what is blank is left out, what differs within an order is refused")
    func attributeMembers() throws {
        let mapping = try ExportMapping(
            ##"id=No,shop=@s,customer=Who,sku=Item,quantity=N,attributes.note=Note,attributes."gift wrap"=Gift|Wrap,attributes.via=@web"##
        )
        let text = """
            No,Who,Item,N,Note,Gift,Wrap
            1,c,A,1,"say ""hi""
            / é",,
            1,c,B,1,,,red
            2,c,A,1,,no,blue
            3,c,A,1,x,,
            3,c,B,1,y,,
            """
        let read = try read(Array(text.utf8), ExportShape(mapping))
        #expect(
            read.rows == [
                ##"s/1 c A:1 B:1 {"gift wrap":"red","note":"say \"hi\"\n/ é","via":"web"}"##,
                ##"s/2 c A:1 {"gift wrap":"no","via":"web"}"##,
                "line 7: attributes.note: differs from the order's first row, line 6",
            ])
        let json = ##"{"no":1,"who":"c","i":[{"s":"A","n":1},{"s":"B","n":2}],"note":"a\u0000b","to":{"city":"Wien"}}"##
        var objects = try ExportMapping("id=no,customer=who,sku=i.s,quantity=i.n,shop=@s,attributes.city=to.city")
        #expect(try self.read(Array(json.utf8), ExportShape(objects)).rows == [##"s/1 c A:1 B:2 {"city":"Wien"}"##])
        // What Postgres can't hold is refused here as everywhere.
        objects.override(with: try ExportMapping("attributes.note=note"))
        #expect(try self.read(Array(json.utf8), ExportShape(objects)).rows.first?.contains("attributes: ") == true)
        for wrong in [
            "attributes.=A", "attributes.a=A,attributes.a=B", "attributes=A,attributes.a=B", "attributes.a=A~b",
        ] {
            #expect(throws: FieldError.self, "\(wrong)") { try ExportMapping(wrong) }
        }
        let header = #expect(throws: InputError.self) {
            try self.read(Array("No,Who,Item,N,Note\n".utf8), ExportShape(mapping))
        }
        #expect(header?.description.contains("no column \"Gift\" or \"Wrap\" for attributes.gift wrap") == true)
    }

    @Test("of an ID or a SKU a regular expression says what counts; what it doesn't match is refused")
    func pattern() throws {
        let text = "Id,Who,Sku,N\nShop #17 (web),c,A-1/blue,1\n#18,c,B,2\nnone,c,C-1,1\n"
        var mapping = try ExportMapping(##"id=Id~"#(\d+)",customer=Who,sku=Sku~^[A-Z]|Id,quantity=N"##)
        mapping.setShop("s")
        let read = try read(Array(text.utf8), ExportShape(mapping))
        #expect(
            read.rows == [
                "s/17 c A:1", "s/18 c B:2", ##"line 4: id: expected what "#(\d+)" matches, got "none""##,
            ])
        for wrong in ["id=Id~(", "customer=Who~a", "id=Id~a~b"] {
            #expect(throws: FieldError.self) { try ExportMapping(wrong) }
        }
    }

    @Test("orders that are none yet are left out: what the first row says that says something")
    func only() throws {
        let text = "Id,State,Who,Sku,N\n1,open,c,A,1\n2,PAID ,c,A,1\n2,,c,B,1\n3,,c,A,1\n4,paid,c,A,x\n5,open,c,A,x\n"
        var mapping = try ExportMapping("id=Id,customer=Who,sku=Sku,quantity=N,only=State~paid/sent")
        mapping.setShop("s")
        let read = try read(Array(text.utf8), ExportShape(mapping))
        #expect(read.rows.first == "s/2 c A:1 B:1" && read.rows.count == 2 && read.leftOut.unwanted == 3)
        #expect(read.rows.last?.contains("line 6: quantity") == true)
        // A column that isn't there would leave out all of them.
        mapping.override(with: try ExportMapping("only=Sate~paid"))
        #expect(throws: InputError.self) { try self.read(Array(text.utf8), ExportShape(mapping)) }
    }

    @Test("Shopify: later rows without the order's fields, apart from the others, cancelled ones, items without a SKU")
    func shopify() throws {
        let missing = "--no-sku skip leaves such items out, --no-sku name knows them by their name"
        let refused = try read(.shopify, "shopify.csv")
        #expect(
            refused.rows == [
                "main/#1001 ana@example.com TEE%20RED/M:2 MUG-1:1", "main/#1002 bo@example.com MUG-1:1",
                "order.cancelled main/#1002/cancel #1002 MUG-1:1",
                "main/#1003 Zoë Ohnepost CAFÉ-1:3 MUG-1:1 TEE%20RED/M:2",
                "line 11: sku: is missing for \"Tip\": \(missing)",
                "line 10: sku: is missing for \"Gift card 25 €\": \(missing)",
            ])
        let skipped = try read(.shopify, "shopify.csv", noSKU: .skip)
        #expect(skipped.rows.suffix(1) == ["main/#1004 cy@example.com TEE%20RED/M:1"] && skipped.rows.count == 5)
        #expect(skipped.leftOut.items == 2 && skipped.leftOut.orders == 1)
        #expect(skipped.leftOut.names == ["Gift card 25 €", "Tip"])
        let named = try read(.shopify, "shopify.csv", noSKU: .name)
        #expect(
            named.rows.suffix(2) == [
                "main/#1004 cy@example.com TEE%20RED/M:1 Tip:1", "main/#1005 di@example.com Gift%20card%2025%20€:1",
            ])
    }

    @Test("WooCommerce: a row an item; status tells what was cancelled")
    func woocommerce() throws {
        #expect(
            try read(.woocommerce, "woocommerce.csv").rows == [
                "main/2001 ana@example.com TEA-250:2 MUG-1:1", "main/2002 bo@example.com MUG-1:1",
                "order.cancelled main/2002/cancel 2002 MUG-1:1", "main/2003 cy@example.com POT-1:1",
            ])
    }

    @Test("Amazon: tabs, Windows-1252, quotation marks that are inches, rows that only go on")
    func amazon() throws {
        let found = try read(.amazon, "amazon.txt")
        #expect(
            found.rows == [
                "main/302-1234567-0000001 x1@marketplace.example TEA-250:2 MUG-1:1",
                "main/302-1234567-0000002 x2@marketplace.example POT-1:1",
            ])
        #expect(found.encoding == "Windows-1252")
    }

    @Test("Etsy: UTF-16, and items that have a name only")
    func etsy() throws {
        let found = try read(.etsy, "etsy.csv", noSKU: .name)
        #expect(found.rows == ["main/3400000001 coolbuyer42 FOX-01:2 FOX-02:1", "main/3400000002 Zoé Igel:1"])
        #expect(found.encoding == "UTF-16, little endian")
    }

    @Test("eBay: semicolons, a sum above an order's items, lines that are none at the end")
    func ebay() throws {
        let found = try read(.ebay, "ebay.csv")
        #expect(
            found.rows == ["main/12-34567-89012 buyer_1 LAMP-1:1 BULB-9:1", "main/12-34567-89013 käufer_2 BULB-9:3"])
        #expect(found.encoding == nil)
    }

    @Test("a mapping names columns, constants and alternatives; header case, blanks and decimals don't matter")
    func mapping() throws {
        var mapping = try ExportMapping(
            #"id=No,shop=@main,customer=Mail|"Name, full",sku="Item code",quantity=Qty,cancelled=State~void/Gone"#)
        #expect(mapping.missingParts.isEmpty)
        let text = """
             no ;MAIL;"Name, full";item CODE;Qty;State;other
            7;; Zoë ;A; 2,00 ;;x
            8;b@x;;B;1.0;GONE

            9;c@x;;C;1.5;
            """
        #expect(
            try read(Array(text.utf8), ExportShape(mapping)).rows == [
                "main/7 Zoë A:2", "main/8 b@x B:1", "order.cancelled main/8/cancel 8 B:1",
                #"line 5: quantity: expected a whole number from 1 to 1 000 000, got "1.5""#,
            ])
        mapping.setShop("other")
        #expect(try read(Array(text.utf8), ExportShape(mapping)).rows.first == "other/7 Zoë A:2")
        for (wrong, message) in [
            ("id", "expected PART=COLUMN"), ("colour=Red", "expected one of id, shop"), ("id=A,id=B", "is there twice"),
            ("id=\"A", "isn't closed"), ("id=", "expected a column"), ("customer=A~b", "expected a column"),
        ] {
            let error = #expect(throws: FieldError.self) { try ExportMapping(wrong) }
            #expect(error?.message.contains(message) == true, "\(wrong): \(String(describing: error))")
        }
        let header = #expect(throws: InputError.self) {
            try read(
                Array("Nr;Mail\n1;x".utf8),
                ExportShape(try ExportMapping("id=No,shop=@m,customer=Mail,sku=A,quantity=Q")))
        }
        #expect(header?.description.contains(#"no column "No" for id; there are: Nr, Mail"#) == true)
    }

    @Test(
        "what is no text is named, with what to do",
        arguments: [
            ("1f8b08", "gzip -dc"), ("504b0304", "unzip -p FILE"), ("fd377a585a00", "xz -dc"),
            ("d0cf11e0", "CSV (UTF-8)"),
            ("504b0304" + String(repeating: "00", count: 26) + "786c2f7374796c6573", "CSV (UTF-8)"),
        ])
    func noText(hex: String, advice: String) throws {
        let bytes = stride(from: 0, to: hex.count, by: 2).compactMap { start in
            UInt8(hex.dropFirst(start).prefix(2), radix: 16)
        }
        let error = #expect(throws: InputError.self) { try read(bytes + [0, 0, 0xFF], KnownExport.shopify.shape) }
        #expect(error?.description.contains(advice) == true)
        let own = #expect(throws: InputError.self) { try ChangeInputTests.read(bytes + [0, 0, 0xFF]) }
        #expect(own?.description.contains(advice) == true)
    }

    @Test("a row without items begins its order all the same, and what can't be told is in no order at all")
    func continuations() throws {
        let mapping = try ExportMapping("id=No,shop=@m,customer=Who,sku=Item,quantity=Q")
        func rows(_ lines: String...) throws -> [String] {
            try read(Array(("No,Who,Item,Q\n" + lines.joined(separator: "\n")).utf8), ExportShape(mapping)).rows
        }
        #expect(try rows("1,a,A,1", "2,b,,", ",,B,2", ",,C,3", ",,,", "1,,D,4") == ["m/1 a A:1 D:4", "m/2 b B:2 C:3"])
        // A broken row without an ID is the order's above, and those behind it, too: none of it is taken.
        #expect(
            try rows("1,a,A,1", ",b\"x,B,2", ",,C,3", "3,c,D,4") == [
                "line 3: has a quote within a field that is not quoted", "m/3 c D:4",
            ])
        // Whose a broken row is that has an ID which can't be one, nobody knows: those beside it are not taken.
        let neighbour = "the order of this line can't be told, and may be this one"
        #expect(
            try rows("1,a,A,1", "\u{200B},b,B,2", ",,C,3", "3,c,D,4") == [
                "line 3: \(neighbour)", "line 3: id: expected \(NameRule.text), got \"�\"", "m/3 c D:4",
            ])
        #expect(try rows("1,a,A,1", "1,b,B,1") == ["line 3: customer: differs from the order's first row, line 2"])
        for (written, quantity) in [("2", "2"), ("2.0", "2"), ("2,00", "2"), ("2.0000", "2")] {
            #expect(try rows("1,a,A,\"\(written)\"") == ["m/1 a A:\(quantity)"])
        }
        for written in ["2.000", "2,000", "1,000,00", "2.", "2.5", "-2", "2e3"] {
            #expect(try rows("1,a,A,\"\(written)\"").first?.hasPrefix("line 2: quantity: ") == true, "\(written)")
        }
    }
}
