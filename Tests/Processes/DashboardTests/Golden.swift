/// Frames as a person checked them.
enum Golden {
    // swift-format-ignore
    static let eightyByTwentyFour = """
         onewrite · 8 partitions      redis ● 7.0.15   postgres ● 15.20       14:03:31Z
          production  10.0.0.1:6379/0 · db.internal:5432/shop · onewrite
        ┌─ Groups ──────────────────────────────────────────────────────────────── 1s ─┐
        │  GROUP        LAG   BEHIND  PEND  DEAD  APND/S  APPL/S  CATCH UP  WORKERS    │
        │  postgres       0        –    12     0     300     377         –        2    │
        │  stock        318     1.2s    64     0     300     223     never        2    │
        │ ▸delivery   1 204  !3m 12s   128    !2     300       0     never       !0    │
        └──────────────────────────────────────────────────────────────────────────────┘
        ┌─ Partitions of delivery ───────────────────────────────────────────── 1/8 ↓ ─┐
        │  P       HEAD  APPLIED     LAG   PEND  OWNER             TOKEN  STATE        │
        │  0      4 012    3 711     150     16  –                     9  !unowned     │
        │  1      3 998    3 699     151     16  –                     8  !unowned     │
        │  2      3 984    3 687     152     16  –                     7  !unowned     │
        │  3      3 970    3 675     153     16  –                     6  !unowned     │
        └──────────────────────────────────────────────────────────────────────────────┘
        ┌─ Pending in delivery ────────────────────────────────────────────── 1/128 ↓ ─┐
        │  ENTRY ID            P  CONSUMER       IDLE  TRY  ORDER         STATE        │
        │  1763905309512-0     0  worker-c      41.7s    1  ord-7714      orphaned     │
        │  1763905309518-0     1  worker-c      41.7s    1  ord-7715      orphaned     │
        │  1763905309524-0     2  worker-c      41.7s    1  ord-7716      orphaned     │
        │  1763905309530-0     3  worker-c      41.7s    1  ord-7717      orphaned     │
        └──────────────────────────────────────────────────────────────────────────────┘
         ! delivery: no worker: onewrite worker --group delivery   w: 1 more
         ? help   tab pane   ↑↓ row   ⏎ open   / filter   s sort   p pause   q quit
        """

    // swift-format-ignore
    static let hundredTwentyByForty = """
         onewrite · 8 partitions      redis ● 7.0.15   postgres ● 15.20                                               14:03:31Z
          production  10.0.0.1:6379/0 · db.internal:5432/shop · onewrite
        ┌─ Groups ──────────────────────────────────────────────────────────────────────────────────────────────────────── 1s ─┐
        │  GROUP        LAG   BEHIND  PEND   OLDEST  DEAD  APND/S  APPL/S  CATCH UP  WORKERS  LAST 60 s                        │
        │  postgres       0        –    12     0.4s     0     300     377         –        2  █████▇▆▆▅▅▅▆▇█████▇▆▆▅▅▅▆▆▇█████ │
        │  stock        318     1.2s    64     2.1s     0     300     223     never        2  ▆▅▅▅▆▇▇████▇▇▆▅▅▅▅▆▇█████▇▆▅▅▅▅▆ │
        │ ▸delivery   1 204  !3m 12s   128   !41.7s    !2     300       0     never       !0  ████▇▇▇▇▆▆▆▅▅▅▅▄▄▄▃▃▃▃▂▂▂▂▁▁▁▁▁▁ │
        └──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
        ┌─ Partitions of delivery ─────────────────────────────────────────────────────────────────────────────────────── 1/8 ─┐
        │  P       HEAD  APPLIED     LAG   PEND  OWNER             TOKEN  STATE     EPOCH  REFUSED  ERROR                      │
        │  0      4 012    3 711     150     16  –                     9  !unowned      1        0                             │
        │  1      3 998    3 699     151     16  –                     8  !unowned      1        0                             │
        │  2      3 984    3 687     152     16  –                     7  !unowned      1        0                             │
        │  3      3 970    3 675     153     16  –                     6  !unowned      1        0                             │
        │  4      3 956    3 663     154     16  –                     5  !unowned      1        0                             │
        │  5      3 942    3 651     155     16  –                     4  !unowned      1        0                             │
        │  6      3 928    3 639     156     16  –                     3  !unowned      1        0                             │
        │  7      3 914    3 627     157     16  –                     2  !unowned      1        0                             │
        └──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
        ┌─ Pending in delivery ────────────────────────────────────────────────────────────────────────────────────── 1/128 ↓ ─┐
        │  ENTRY ID            P  CONSUMER       IDLE  TRY  ORDER         STATE            SEQ  TYPE                           │
        │  1763905309512-0     0  worker-c      41.7s    1  ord-7714      orphaned       3 700  order.placed                   │
        │  1763905309518-0     1  worker-c      41.7s    1  ord-7715      orphaned       3 701  order.placed                   │
        │  1763905309524-0     2  worker-c      41.7s    1  ord-7716      orphaned       3 702  order.placed                   │
        │  1763905309530-0     3  worker-c      41.7s    1  ord-7717      orphaned       3 703  order.placed                   │
        │  1763905309536-0     4  worker-c      41.7s    1  ord-7718      orphaned       3 704  order.placed                   │
        │  1763905309542-0     5  worker-c      41.7s    1  ord-7719      orphaned       3 705  order.placed                   │
        │  1763905309548-0     6  worker-c      41.6s    1  ord-7720      orphaned       3 706  order.placed                   │
        │  1763905309554-0     7  worker-c      41.6s    1  ord-7721      orphaned       3 707  order.placed                   │
        │  1763905309560-0     0  worker-c      41.6s    1  ord-7722      orphaned       3 708  order.placed                   │
        │  1763905309566-0     1  worker-c      41.6s    1  ord-7723      orphaned       3 709  order.placed                   │
        │  1763905309572-0     2  worker-c      41.6s    1  ord-7724      orphaned       3 710  order.placed                   │
        │  1763905309578-0     3  worker-c      41.6s    1  ord-7725      orphaned       3 711  order.placed                   │
        │  1763905309584-0     4  worker-c      41.6s    1  ord-7726      orphaned       3 712  order.placed                   │
        │  1763905309590-0     5  worker-c      41.6s    1  ord-7727      orphaned       3 713  order.placed                   │
        │  1763905309596-0     6  worker-c      41.6s    1  ord-7728      orphaned       3 714  order.placed                   │
        │  1763905309602-0     7  worker-c      41.6s    1  ord-7729      orphaned       3 715  order.placed                   │
        └──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
         ! delivery: no worker: onewrite worker --group delivery   w: 1 more
         ? help   tab pane   ↑↓ row   ⏎ open   / filter   s sort   p pause   d dead   r refresh   w warnings   q quit
        """

    // swift-format-ignore
    static let deadLetters = """
         onewrite · 8 partitions      redis ● 7.0.15   postgres ● 15.20       14:03:32Z
          production  10.0.0.1:6379/0 · db.internal:5432/shop · onewrite
        ┌─ Groups ──────────────────────────────────────────────────────────────── 1s ─┐
        │  GROUP        LAG   BEHIND  PEND  DEAD  APND/S  APPL/S  CATCH UP  WORKERS    │
        │  postgres       0        –    12     0     300     356         –        2    │
        │  stock        318     1.2s    64     0     300     244     never        2    │
        │ ▹delivery   1 204  !3m 12s   128    !2     300       0     never       !0    │
        └──────────────────────────────────────────────────────────────────────────────┘
        ┌─ Partitions of delivery ───────────────────────────────────────────── 1/8 ↓ ─┐
        │  P       HEAD  APPLIED     LAG   PEND  OWNER             TOKEN  STATE        │
        │  0      4 012    3 711     150     16  –                     9  !unowned     │
        │  1      3 998    3 699     151     16  –                     8  !unowned     │
        │  2      3 984    3 687     152     16  –                     7  !unowned     │
        │  3      3 970    3 675     153     16  –                     6  !unowned     │
        └──────────────────────────────────────────────────────────────────────────────┘
        ┌─ Dead letters of delivery ───────────────────────────────────────────── 1/2 ─┐
        │  LETTER      AGE  REASON      SHOP    ORDER         ERROR                    │
        │ ▸5:118     1h 2m  invalid     main    ord-13        lines: expected a list   │
        │  2:7       1m 1s  taken       berlin  ord-9         beyond 2^53              │
        │                                                                              │
        │                                                                              │
        └──────────────────────────────────────────────────────────────────────────────┘
         ! delivery: no worker: onewrite worker --group delivery   w: 1 more
         ? help   tab pane   ⏎ open   / filter   s sort   q back   R retry   D drop
        """
}
