"""The live city: one world of entities for each access, cut into tiles that all viewers share.

The stream (server-sent events; `GET /live` and, of the past, `GET /replay/stream`)
===================================================================================

A viewer names what it looks at, its *views*: map tiles (``tiles=z/x/y,…``, Web Mercator, at most 64), whole types
(``types=A,B``, at most 5,000 entities each) and single entities (``ids=…``). ``layers`` (ids, comma-separated; all
without it) and ``filter`` (JSON, see `hanmaru.centre.live.filters`) limit tiles. Events, each with JSON data:

``hello {now, seq, entities, truncated}``
    The server's clock (seconds since 1970), and what the world is at.
``tile {tile, seq, counts, clusters, features}``
    A view whole; forget all that was known of it. ``tile`` is ``z/x/y``, ``type/<type>`` or ``id/<id>``; ``counts``
    entities by layer id. ``features`` are ``{"<types joined by a comma>": [[id, values], …]}``, ``values`` the
    attributes that layers and panels declare, ``location`` (GeoJSON) and ``modifiedAt`` among them. ``clusters`` are
    ``[cell, lon, lat, {layer: count}]``: in a tile of more than `MOST_POINTS` points, cells (0…63, eight a row, from
    the north-west) with two entities or more are clusters, with one are features.
``frame {tile, after, seq, counts, clusters, gone, set}``
    A view's difference: first forget the entities of ``gone``, then merge the attributes of ``set`` (shaped as
    ``features``; null drops an attribute), then put each cluster of ``clusters`` in its cell (with no counts: none is
    there now). All values are absolute, so a frame that is applied twice, or to a view that is ahead, does no harm.
``city {seq, counts, means, newest}``
    The whole city, at most once a second: entities by type, ``{type: {attribute: [mean, count]}}`` and
    ``{type: [[id, values], …]}``, newest first, of what panels declare.
``beat {now, seq}``
    Nothing happened for a while.
``clock {at}``
    Replay only: the instant that is shown.

Nothing is ever lost: a view comes whole when its viewer connects or connects again. Only for views that it names in
``held`` as being at sequence number ``after`` does it get the frames since instead, where these are still kept; a
viewer that reads more slowly than the ring of frames turns gets the view whole again. So there is no resync and a
viewer needs no queue.
"""
