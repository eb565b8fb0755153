;;;; The header's functions.

(in-package #:dcf-thunderbolt/ffi)

;;; errors, versions

(define-function %status-string :pointer ((status status))
  "A short static text for a status.")
(define-function %last-error :size ((buf :pointer) (cap :size))
  "Copies the text of this thread's last failure; returns its full length.")
(define-function %last-errno :int32 ()
  "The errno behind this thread's last failure, or 0.")
(define-function %abi-version :uint32 ()
  "The ABI version of the loaded library.")
(define-function %version :pointer ()
  "The library's version, as static text.")

;;; life

(define-function %config-init status ((config :pointer) (config-size :size))
  "Fills a configuration with the defaults.")
(define-function %init status ((config :pointer) (transport :pointer))
  "Starts a transport.")
(define-function %close status ((transport handle))
  "Closes a transport.")
(define-function %is-running status ((transport handle) (running :pointer))
  "Whether a transport is open: until its close begins.")
(define-function %interface status
    ((transport handle) (buf :pointer) (cap :size) (len :pointer))
  "Copies the name of the transport's interface.")
(define-function %ports status
    ((transport handle) (control-port :pointer) (data-port :pointer))
  "The actual ports of the transport.")
(define-function %wait-link status ((transport handle) (up :int32) (timeout-ms :uint32))
  "Waits until the link is up, or down.")

;;; callbacks: for completeness; the binding does not use them

(define-function %set-option status ((transport handle) (option :int32) (value :uint64))
  "Changes a setting of a running transport.")
(define-function %get-option status ((transport handle) (option :int32) (value :pointer))
  "The current value of a setting.")
(define-function %set-message-callback status
    ((transport handle) (callback :pointer) (user-data :pointer))
  "Sets or removes the message callback, which must not be a Lisp function.")
(define-function %set-stream-callback status
    ((transport handle) (callback :pointer) (user-data :pointer))
  "Sets or removes the stream callback, which must not be a Lisp function.")
(define-function %set-log-callback status
    ((transport handle) (callback :pointer) (user-data :pointer))
  "Sets or removes the log callback, which must not be a Lisp function.")
(define-function %set-link-callback status
    ((transport handle) (callback :pointer) (user-data :pointer))
  "Sets or removes the link callback, which must not be a Lisp function.")
(define-function %set-peer-callback status
    ((transport handle) (callback :pointer) (user-data :pointer))
  "Sets or removes the peer callback, which must not be a Lisp function.")
(define-function %log-to-socket :void
    ((level :int32) (message :pointer) (user-data :pointer))
  "A log callback that sends each record to a socket.")
(define-function %link-to-socket :void
    ((up :int32) (interface-name :pointer) (user-data :pointer))
  "A link callback that sends each change to a socket.")
(define-function %peer-to-socket :void
    ((appeared :int32) (peer :pointer) (user-data :pointer))
  "A peer callback that sends each change to a socket.")

;;; control messages

(define-function %send status ((transport handle) (peer :pointer) (data :pointer) (len :size))
  "Sends one control message.")
(define-function %send-batch status
    ((transport handle) (datagrams :pointer) (count :size) (sent :pointer))
  "Sends several control messages, in order.")
(define-function %recv status
    ((transport handle) (buf :pointer) (cap :size) (len :pointer)
     (sender :pointer) (sender-cap :size) (timeout-ms :uint32))
  "Receives the oldest queued control message.")
(define-function %recv-batch status
    ((transport handle) (buf :pointer) (cap :size) (messages :pointer) (most :size)
     (count :pointer) (timeout-ms :uint32))
  "Receives several queued control messages.")
(define-function %event-fd status ((transport handle) (fd :pointer))
  "A descriptor that is readable while %RECV or %ACCEPT would not block.")

;;; data streams

(define-function %open-stream status
    ((transport handle) (peer :pointer) (timeout-ms :uint32) (stream :pointer))
  "Opens a data stream to a peer.")
(define-function %accept status ((transport handle) (timeout-ms :uint32) (stream :pointer))
  "Accepts the oldest data stream that a peer opened.")
(define-function %stream-write status
    ((stream handle) (data :pointer) (len :size) (timeout-ms :uint32) (written :pointer))
  "Writes all bytes, or reports how many.")
(define-function %stream-read status
    ((stream handle) (buf :pointer) (cap :size) (timeout-ms :uint32) (read :pointer))
  "Reads available bytes, at least one.")
(define-function %stream-writev status
    ((stream handle) (slices :pointer) (count :size) (timeout-ms :uint32) (written :pointer))
  "Writes all pieces in order, or reports how many bytes.")
(define-function %stream-read-exact status
    ((stream handle) (buf :pointer) (len :size) (timeout-ms :uint32) (read :pointer))
  "Reads exactly LEN bytes, or reports how many.")
(define-function %stream-finish status ((stream handle))
  "Ends the sending direction; reading still works.")
(define-function %stream-close status ((stream handle))
  "Closes a stream.")
(define-function %stream-peer status
    ((stream handle) (buf :pointer) (cap :size) (len :pointer))
  "Copies the peer's address.")
(define-function %stream-fd status ((stream handle) (fd :pointer))
  "The stream's descriptor, which the library still owns.")
(define-function %stream-detach status ((stream handle) (fd :pointer))
  "Detaches the stream's descriptor from the library.")
(define-function %stream-set-user-data status ((stream handle) (user-data :pointer))
  "Stores a user pointer with a stream.")
(define-function %stream-user-data status ((stream handle) (user-data :pointer))
  "The user pointer of a stream.")
(define-function %stream-send-file status
    ((stream handle) (fd :int32) (offset :uint64) (count :uint64) (timeout-ms :uint32)
     (sent :pointer))
  "Sends part of a file.")
(define-function %stream-receive-file status
    ((stream handle) (fd :int32) (offset :uint64) (count :uint64) (timeout-ms :uint32)
     (received :pointer))
  "Receives into a file.")

;;; peers

(define-function %last-heard status ((transport handle) (peer :pointer) (ns-ago :pointer))
  "The time since data last came from a peer.")
(define-function %forget status ((transport handle) (peer :pointer))
  "Forgets when a peer was last heard from.")

;;; round trips, discovery

(define-function %measure-rtt status
    ((transport handle) (peer :pointer) (timeout-ms :uint32) (rtt-ns :pointer))
  "Measures one round trip.")
(define-function %ping status
    ((transport handle) (peer :pointer) (count :uint32) (interval-us :uint32)
     (timeout-ms :uint32) (summary :pointer))
  "Measures a series of round trips.")
(define-function %discover status
    ((transport handle) (timeout-ms :uint32) (peers :pointer) (cap :size) (count :pointer))
  "Finds the other transports on the link.")
(define-function %discover-first status
    ((transport handle) (timeout-ms :uint32) (peers :pointer) (cap :size) (count :pointer))
  "Finds the first transports that answer.")

;;; statistics
(define-function %get-stats status ((transport handle) (stats :pointer))
  "Reads the statistics.")
(define-function %reset-stats status ((transport handle))
  "Sets the counts to 0.")
(define-function %stream-get-stats status ((stream handle) (stats :pointer))
  "Reads the statistics of one stream.")
