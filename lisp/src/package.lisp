;;;; The two packages: the C interface, and the interface for Lisp programs.

(defpackage #:dcf-thunderbolt/ffi
  (:use #:common-lisp)
  (:documentation
   "The C interface of libdcf_thunderbolt, name by name: dcf_tb_send is %SEND, DCF_TB_EOF is +EOF+,
struct dcf_tb_config is (:STRUCT CONFIG) with keywords as slot names. What each does, and the rules
for all of them, stands in include/dcf_thunderbolt.h. SLOTS and SLOT-TYPE tell what a struct has.")
  (:export #:slots #:slot-type))

(defpackage #:dcf-thunderbolt
  (:use #:common-lisp #:dcf-thunderbolt/ffi)
  (:local-nicknames (#:gray #:trivial-gray-streams))
  (:documentation
   "Control messages, data streams, round trips and discovery over a Thunderbolt or USB4 cable.
Times are seconds, as any real number; a timeout of NIL has no limit, 0 does not wait. Every
function may be called from any thread. Failures are conditions under DCF-THUNDERBOLT-ERROR.")
  (:export
   ;; transports
   #:transport #:open-transport #:close-transport #:with-transport #:transport-open-p
   #:transport-interface #:transport-ports #:transport-event-descriptor #:transport-link-up-p
   #:wait-link #:transport-setting
   #:give-up
   ;; control messages
   #:send-message #:send-messages #:receive-message #:receive-messages
   ;; data streams
   #:data-stream #:open-data-stream #:accept-data-stream #:with-data-stream
   #:data-stream-peer #:data-stream-timeout #:data-stream-descriptor
   #:data-stream-statistics #:data-stream-user-data
   #:read-available #:finish-data-stream #:detach-data-stream
   #:send-file #:receive-file
   ;; round trips, discovery, peers, statistics
   #:measure-rtt #:ping #:discover #:last-heard #:forget-peer #:statistics #:reset-statistics
   ;; the library
   #:load-library #:library-version
   ;; conditions
   #:dcf-thunderbolt-error #:error-code #:error-errno #:error-message #:error-transferred
   #:try-again
   #:library-error
   #:timeout-error #:would-block-error #:closed-error #:forked-error
   #:end-of-data-error
   #:invalid-address-error #:interface-not-found-error #:address-in-use-error
   #:permission-denied-error #:invalid-configuration-error #:message-too-large-error
   #:link-down-error
   #:connection-error #:connection-refused-error #:connection-reset-error
   #:connection-aborted-error #:host-unreachable-error #:broken-pipe-error
   #:resource-error #:queue-full-error #:too-many-connections-error
   #:system-error))
