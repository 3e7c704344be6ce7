/// Whether this build has Kafka: the package's trait of this name.
package enum KafkaAvailability {
    /// Whether it has.
    package static var isThere: Bool {
        #if Kafka
        true
        #else
        false
        #endif
    }
}
