;;;; The header's structs.

(in-package #:dcf-thunderbolt/ffi)

(define-structure config
    "The settings of a transport. %CONFIG-INIT fills in the defaults."
  (:struct-size :uint32)
  (:control-port :uint16)
  (:data-port :uint16)
  (:interface-name :pointer)
  (:buffer-size :uint64)
  (:tcp-nodelay :uint8)
  (:tcp-keepalive :uint8)
  (:allow-any-source :uint8)
  (:wait-for-interface :uint8)
  (:busy-poll-us :uint32)
  (:receive-queue :uint32)
  (:max-streams :uint32)
  (:connect-timeout-ms :uint32)
  (:stream-dead-after-ms :uint32)
  (:log-level :int32)
  (:on-message :pointer)
  (:on-stream :pointer)
  (:on-log :pointer)
  (:on-link :pointer)
  (:on-closed :pointer)
  (:user-data :pointer)
  (:receive-queue-bytes :uint64)
  (:max-silent-streams :uint32)
  (:silent-after-ms :uint32)
  (:on-peer :pointer)
  (:peer-timeout-ms :uint32)
  (:remember-peers :uint32))

(define-structure stats
    "The statistics of a transport since its start, or since the last reset."
  (:struct-size :uint32)
  (:link-up :uint32)
  (:messages-sent :uint64)
  (:messages-received :uint64)
  (:bytes-sent :uint64)
  (:bytes-received :uint64)
  (:connections-accepted :uint64)
  (:connections-initiated :uint64)
  (:errors :uint64)
  (:uptime-ns :uint64)
  (:messages-dropped :uint64)
  (:kernel-drops :uint64)
  (:rejected :uint64)
  (:stream-bytes-sent :uint64)
  (:stream-bytes-received :uint64)
  (:streams-open :uint64)
  (:pings-sent :uint64)
  (:pongs-received :uint64)
  (:pings-answered :uint64)
  (:last-rtt-ns :uint64)
  (:link-changes :uint64)
  (:callback-failures :uint64)
  (:udp-send-buffer :uint64)
  (:udp-receive-buffer :uint64)
  (:rejected-source :uint64)
  (:rejected-max-streams :uint64)
  (:rejected-silent :uint64)
  (:rejected-resources :uint64)
  (:dropped-memory :uint64)
  (:pongs-ignored :uint64)
  (:rejected-malformed :uint64)
  (:discovery-dropped :uint64)
  (:send-drops :uint64)
  (:pings-limited :uint64)
  (:dropped-slow :uint64)
  (:pings-undelivered :uint64)
  (:peers-not-reported :uint64))

(define-structure stream-stats
    "The statistics of a stream since it was opened, and the state of its connection."
  (:struct-size :uint32)
  (:connected :uint32)
  (:bytes-sent :uint64)
  (:bytes-received :uint64)
  (:writes :uint64)
  (:reads :uint64)
  (:age-ns :uint64)
  (:idle-ns :uint64)
  (:since-sent-ns :uint64)
  (:since-received-ns :uint64)
  (:bytes-unsent :uint64)
  (:bytes-unacknowledged :uint64)
  (:rtt-ns :uint64)
  (:rtt-variation-ns :uint64)
  (:rtt-min-ns :uint64)
  (:retransmits :uint64)
  (:delivery-rate :uint64)
  (:peer-window :uint64)
  (:stalled :uint64)
  (:stalled-ns :uint64)
  (:congestion-window :uint64)
  (:mss :uint64))

(define-structure rtt
    "The summary of a series of pings."
  (:struct-size :uint32)
  (:sent :uint32)
  (:received :uint32)
  (:reserved :uint32)
  (:min-ns :uint64)
  (:mean-ns :uint64)
  (:p50-ns :uint64)
  (:p90-ns :uint64)
  (:p99-ns :uint64)
  (:p999-ns :uint64)
  (:max-ns :uint64))

(define-structure peer
    "A peer that answered to discovery."
  (:address :char :count #.+peer-size+)
  (:rtt-ns :uint64))

(define-structure received
    "A received message of a batch."
  (:data :pointer)
  (:len :size)
  (:sender :char :count #.+peer-size+))

(define-structure slice
    "A piece of a vectored write."
  (:data :pointer)
  (:len :size))

(define-structure datagram
    "A message of a batch to send."
  (:peer :pointer)
  (:data :pointer)
  (:len :size))
