-- A loyalty programme in a database of its own: `onewrite group add loyalty --kind postgres --url-env LOYALTY_URL
-- --function loyalty.apply`. A point for each item ordered; a cancellation takes them back.
CREATE SCHEMA IF NOT EXISTS loyalty;
CREATE TABLE IF NOT EXISTS loyalty.members (
    shop text, customer text, points bigint NOT NULL DEFAULT 0, PRIMARY KEY (shop, customer));
CREATE TABLE IF NOT EXISTS loyalty.orders (
    shop text, id text, customer text NOT NULL, points bigint NOT NULL, PRIMARY KEY (shop, id));

-- Given a batch's changes in log order; what it does counts once, with the group's position.
CREATE OR REPLACE FUNCTION loyalty.apply(changes jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    change jsonb;
    earned bigint;
    buyer text;
BEGIN
    FOR change IN SELECT value FROM jsonb_array_elements(changes) WITH ORDINALITY AS item (value, number) ORDER BY number
    LOOP
        CASE change->>'type'
        WHEN 'order.placed' THEN
            SELECT sum((line->>'quantity')::bigint) INTO earned FROM jsonb_array_elements(change->'lines') AS line;
            buyer := change->>'customer';
            INSERT INTO loyalty.orders VALUES (change->>'shop', change->>'id', buyer, earned) ON CONFLICT DO NOTHING;
            CONTINUE WHEN NOT FOUND;
        WHEN 'order.cancelled' THEN
            -- One row at most, and none for an order that was cancelled before.
            DELETE FROM loyalty.orders WHERE shop = change->>'shop' AND id = change->>'order'
            RETURNING -points, customer INTO earned, buyer;
            CONTINUE WHEN NOT FOUND;
        ELSE
            CONTINUE;
        END CASE;
        INSERT INTO loyalty.members AS member VALUES (change->>'shop', buyer, earned)
        ON CONFLICT (shop, customer) DO UPDATE SET points = member.points + excluded.points;
    END LOOP;
END $$;
