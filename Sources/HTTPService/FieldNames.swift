import HTTPTypes

extension HTTPField.Name {
    static let acceptPost = named("Accept-Post")
    static let idempotencyKey = named("Idempotency-Key")
    static let prefer = named("Prefer")
    static let referrerPolicy = named("Referrer-Policy")
    static let secFetchSite = named("Sec-Fetch-Site")
    static let xAccelBuffering = named("X-Accel-Buffering")
    static let xContentTypeOptions = named("X-Content-Type-Options")
    static let xForwardedFor = named("X-Forwarded-For")
    static let xFrameOptions = named("X-Frame-Options")
    static let xTotalCount = named("X-Total-Count")

    private static func named(_ name: String) -> Self {
        guard let field = Self(name) else { preconditionFailure("\(name) is no field's name") }
        return field
    }
}
