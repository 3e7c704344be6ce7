import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import OrderLog
import PrometheusMetrics
import Reports
import Serving

/// Metrics for machines.
struct MetricsRoutes: Sendable {
    let registry: MetricsRegistry
    let version: String
    /// What tells of the whole log; nil where the process tells only of itself.
    var feed: StatusFeed?
    var metersPartitions = false

    var routes: [Route] { [Route(.get, "/metrics", feed == nil ? nil : .read, metrics)] }

    @Sendable private func metrics(_ call: Call) async throws -> Response {
        var text = PrometheusText()
        text.begin("onewrite_build_info", .gauge, "The program's version; always 1.")
        text.add([("version", version)], 1)
        ProcessMetrics.write(to: &text)
        registry.write(to: &text, help: MetricsHelp.text)
        if let feed {
            SnapshotMetrics(metersPartitions: metersPartitions).write(await feed.current(), to: &text)
        }
        return Response(
            status: .ok, headers: [.contentType: PrometheusText.contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text.text)))
    }
}

/// What the metrics mean that the parts count themselves.
enum MetricsHelp {
    static func text(_ name: String) -> String {
        switch name {
        case "onewrite_submitted_total": "Changes that were submitted here, by outcome."
        case "onewrite_submit_seconds": "From the hand-over of a change to its receipt."
        case "onewrite_applied_total": "Entries that this process applied or set aside."
        case "onewrite_refused_total":
            "Batches of this process that a store refused, since another worker had taken over."
        case "onewrite_apply_seconds": "One step of a store: a batch applied, its position recorded."
        case "onewrite_batch_entries": "Entries of one such step."
        case "onewrite_takeovers_total": "Partitions that this process has taken over."
        case "onewrite_takeover_seconds": "Taking a partition over, what was pending in it applied."
        case "onewrite_reclaimed_total": "Entries that were pending with a partition's former holder."
        case "onewrite_openings_total": "Partitions whose log this process has opened anew."
        case "onewrite_http_requests_total": "Requests that were answered."
        case "onewrite_http_request_seconds": "From a request's head to its answer's."
        default: "See docs/http.md."
        }
    }
}

/// What a look at the stores tells, as metrics of the whole log.
struct SnapshotMetrics {
    let metersPartitions: Bool

    func write(_ look: Result<StatusFeed.Frame, StatusFeed.Trouble>, to text: inout PrometheusText) {
        text.begin("onewrite_up", .gauge, "Whether a server answers.")
        switch look {
        case .success(let frame):
            text.add([("server", "redis")], frame.snapshot.redis.error == nil ? 1 : 0)
            text.add([("server", "postgres")], frame.snapshot.postgres.error == nil ? 1 : 0)
            text.begin(
                "onewrite_round_trip_seconds", .gauge, "How long one command of the last look took, there and back.")
            text.add([("server", "redis")], frame.roundTrips.redis.map { $0 / .seconds(1) })
            text.add([("server", "postgres")], frame.roundTrips.postgres.map { $0 / .seconds(1) })
            write(frame.snapshot, frame.duration, to: &text)
        case .failure(let trouble):
            text.add([("server", "redis")], trouble.unavailable.redis.map { $0.error == nil ? 1 : 0 })
            text.add([("server", "postgres")], trouble.unavailable.postgres.map { $0.error == nil ? 1 : 0 })
        }
    }

    private func write(_ snapshot: Snapshot, _ duration: Duration, to text: inout PrometheusText) {
        text.begin("onewrite_look_seconds", .gauge, "How long the last look at the stores took.")
        text.add(duration / .seconds(1))
        text.begin("onewrite_partitions", .gauge, "Partitions of the log.")
        text.add(snapshot.partitions.map(Double.init))
        func each(
            _ name: String, _ help: String, _ kind: PrometheusText.Kind = .gauge, _ value: (Snapshot.Group) -> Double?
        ) {
            text.begin(name, kind, help)
            for group in snapshot.groups { text.add([("group", group.name)], value(group)) }
        }
        each("onewrite_group_lag_entries", "Entries of the log that the group has not applied.") {
            $0.lag.map(Double.init)
        }
        each(
            "onewrite_group_lag_seconds",
            "Age of the oldest entry that the group has not applied; 0 when there is none."
        ) {
            $0.lagSeconds
        }
        each("onewrite_group_pending_entries", "Entries that are delivered and not acknowledged.") {
            $0.pending.map(Double.init)
        }
        each(
            "onewrite_group_oldest_pending_seconds",
            "How long the oldest pending entry has waited; 0 when there is none."
        ) {
            $0.pending == 0 ? 0 : $0.oldestPendingMilliseconds.map { Double($0) / 1000 }
        }
        each("onewrite_group_dead_letters", "Entries that were set aside, and not retried or dropped.") {
            $0.dead.map(Double.init)
        }
        each(
            "onewrite_group_refused_batches_total",
            "Batches of any worker that the store refused, since another had taken over.", .counter
        ) { $0.refused.map(Double.init) }
        each("onewrite_group_workers", "Live workers of the group.") { ($0.workers?.count).map(Double.init) }
        text.begin("onewrite_group_partitions", .gauge, "Partitions of the group, by what it does with them.")
        for group in snapshot.groups {
            for state in Snapshot.Partition.State.allCases {
                let count = group.partitions.count { $0.state == state }
                text.add([("group", group.name), ("state", state.rawValue)], Double(count))
            }
        }
        text.begin("onewrite_warnings", .gauge, "What a person should look at, by its code.")
        for (code, warnings) in Dictionary(grouping: snapshot.warnings, by: \.code).sorted(by: { $0.key < $1.key }) {
            text.add([("code", code)], Double(warnings.count))
        }
        if metersPartitions { writePartitions(snapshot, to: &text) }
    }

    private func writePartitions(_ snapshot: Snapshot, to text: inout PrometheusText) {
        func each(_ name: String, _ help: String, _ value: (Snapshot.Partition) -> Double?) {
            text.begin(name, .gauge, help)
            for group in snapshot.groups {
                for partition in group.partitions {
                    text.add([("group", group.name), ("partition", "\(partition.partition)")], value(partition))
                }
            }
        }
        each("onewrite_partition_lag_entries", "Entries of the partition that the group has not applied.") {
            $0.lag.map(Double.init)
        }
        each("onewrite_partition_pending_entries", "Entries that are delivered and not acknowledged.") {
            $0.pending.map(Double.init)
        }
    }
}

/// What Prometheus's own clients tell of a process.
///
/// <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>
enum ProcessMetrics {
    static func write(to text: inout PrometheusText) {
        text.begin("process_cpu_seconds_total", .counter, "Time of the processor that the process has used.")
        text.add(Double(clock()) / Double(CLOCKS_PER_SEC))
        // Its second number is the resident size, in pages.
        let statm = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ")
        text.begin("process_resident_memory_bytes", .gauge, "Memory of the process that is in RAM.")
        text.add(statm.flatMap { $0.count > 1 ? Double($0[1]) : nil }.map { $0 * Double(sysconf(Int32(_SC_PAGESIZE))) })
        let descriptors = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
        text.begin("process_open_fds", .gauge, "Open file descriptors.")
        text.add(descriptors.map(Double.init))
    }
}
