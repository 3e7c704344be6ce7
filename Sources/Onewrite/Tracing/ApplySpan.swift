import OrderLog
import Tracing

/// A store's step as a span, linked to the traces of the orders in it.
enum ApplySpan {
    /// Tracers keep no more for a span.
    ///
    /// OpenTelemetry, span limits: <https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits>
    private static let linksMax = 128

    private struct Moment: TracerInstant {
        let nanosecondsSinceEpoch: UInt64

        static func < (left: Moment, right: Moment) -> Bool {
            left.nanosecondsSinceEpoch < right.nanosecondsSinceEpoch
        }
    }

    /// Tells of a step that has just ended.
    static func record(_ batch: Batch, by group: Group, in duration: Duration) {
        let end = DefaultTracerClock.now.nanosecondsSinceEpoch
        let begun = Moment(nanosecondsSinceEpoch: end - min(end, UInt64(max(0, duration / .nanoseconds(1)))))
        let span = startSpan("onewrite apply", context: .topLevel, ofKind: .consumer, at: begun)
        defer { span.end() }
        guard span.isRecording else { return }
        span.attributes["onewrite.group"] = group.name
        span.attributes["onewrite.partition"] = batch.permit.partition.number
        span.attributes["onewrite.first"] = Int(batch.first.number)
        span.attributes["onewrite.last"] = Int(batch.last.number)
        var links = 0
        for applied in batch.applied {
            guard links < linksMax, let attributes = applied.change.attributes,
                let context = TraceCarrier.context(in: attributes)
            else { continue }
            links += 1
            span.addLink(SpanLink(context: context, attributes: ["onewrite.id": .string(applied.change.id)]))
        }
    }
}
