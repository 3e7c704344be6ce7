import FoundationEssentials
import Tracing

/// A trace's context among an order's attributes, at the names that the propagator of the process's tracer gives it:
/// `traceparent` and `tracestate` of W3C mostly.
///
/// W3C, Trace Context: <https://www.w3.org/TR/trace-context/>
struct TraceCarrier: Injector, Extractor {
    func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }

    func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }

    /// The context that attributes hold; nil when they hold none that the tracer knows.
    static func context(in attributes: String) -> ServiceContext? {
        guard let object = object(attributes) else { return nil }
        var context = ServiceContext.topLevel
        InstrumentationSystem.instrument.extract(
            object.compactMapValues(\.value), into: &context, using: TraceCarrier())
        return context.isEmpty ? nil : context
    }

    /// Attributes with a context beside what they hold; what they hold stays as it is, byte for byte.
    ///
    /// - Parameters:
    ///   - context: Of a span.
    ///   - attributes: A JSON object, or nil.
    /// - Returns: A JSON object; nil when the tracer has nothing to add.
    static func adding(_ context: ServiceContext, to attributes: String?) -> String? {
        var carrier: [String: String] = [:]
        InstrumentationSystem.instrument.inject(context, into: &carrier, using: TraceCarrier())
        guard let present = object(attributes ?? "{}") else { return attributes }
        carrier = carrier.filter { present[$0.key] == nil }
        guard !carrier.isEmpty, let added = try? JSONEncoder().encode(carrier) else { return attributes }
        let text = String(decoding: added, as: UTF8.self)
        guard let attributes, !present.isEmpty, let end = attributes.lastIndex(of: "}") else { return text }
        return attributes[..<end] + "," + text.dropFirst()
    }

    private static func object(_ text: String) -> [String: Text]? {
        try? JSONDecoder().decode([String: Text].self, from: Data(text.utf8))
    }

    /// A value of JSON, as far as it is a text.
    private struct Text: Decodable {
        let value: String?

        init(from decoder: any Decoder) throws {
            value = try? decoder.singleValueContainer().decode(String.self)
        }
    }
}
