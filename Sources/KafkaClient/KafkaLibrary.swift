#if Kafka
import CLibrdkafka
#endif

/// The library that speaks to Kafka.
package enum KafkaLibrary {
    /// The version of the librdkafka that is loaded, such as `2.0.2`; nil where none is built in.
    package static var version: String? {
        #if Kafka
        String(cString: rd_kafka_version_str())
        #else
        nil
        #endif
    }
}
