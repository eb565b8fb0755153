;;;; The header's functions.

(in-package #:dcf-thunderbolt/ffi)

;;; errors, versions

(define-function %status-string :pointer ((status status))
  "A status in a few words: static text.")
(define-function %last-error :size ((buf :pointer) (cap :size))
  "Copies this thread's last failure in words; returns its full length.")
(define-function %last-errno :int32 ()
  "The errno behind this thread's last failure, or 0.")
(define-function %abi-version :uint32 ()
  "The ABI that the loaded library has.")
(define-function %version :pointer ()
  "The library's version: static text.")

;;; life

(define-function %config-init status ((config :pointer) (config-size :size))
  "Fills a configuration with the defaults.")
(define-function %init status ((config :pointer) (transport :pointer))
  "Starts a transport.")
(define-function %close status ((transport handle))
  "Closes a transport.")
(define-function %is-running status ((transport handle) (running :pointer))
  "Whether a transport runs: until its close begins.")
(define-function %interface status
    ((transport handle) (buf :pointer) (cap :size) (len :pointer))
  "Copies the name of the transport's interface.")
(define-function %ports status
    ((transport handle) (control-port :pointer) (data-port :pointer))
  "The ports that the transport really has.")
(define-function %wait-link status ((transport handle) (up :int32) (timeout-ms :uint32))
  "Waits until the link is up, or down.")

;;; callbacks: for the sake of completeness, the binding pulls

(define-function %set-option status ((transport handle) (option :int32) (value :uint64))
  "Changes a setting of a transport that runs.")
(define-function %get-option status ((transport handle) (option :int32) (value :pointer))
  "The value that a setting has now.")
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
  "Takes the oldest control message out of the queue.")
(define-function %recv-batch status
    ((transport handle) (buf :pointer) (cap :size) (messages :pointer) (most :size)
     (count :pointer) (timeout-ms :uint32))
  "Takes several control messages out of the queue.")
(define-function %event-fd status ((transport handle) (fd :pointer))
  "A descriptor that is readable while %RECV or %ACCEPT would not wait.")

;;; data streams

(define-function %open-stream status
    ((transport handle) (peer :pointer) (timeout-ms :uint32) (stream :pointer))
  "Opens a data stream to a peer.")
(define-function %accept status ((transport handle) (timeout-ms :uint32) (stream :pointer))
  "Takes the oldest data stream that a peer opened.")
(define-function %stream-write status
    ((stream handle) (data :pointer) (len :size) (timeout-ms :uint32) (written :pointer))
  "Writes all, or says how much.")
(define-function %stream-read status
    ((stream handle) (buf :pointer) (cap :size) (timeout-ms :uint32) (read :pointer))
  "Reads what is there, at least one byte.")
(define-function %stream-writev status
    ((stream handle) (slices :pointer) (count :size) (timeout-ms :uint32) (written :pointer))
  "Writes all pieces as if they were one, or says how much.")
(define-function %stream-read-exact status
    ((stream handle) (buf :pointer) (len :size) (timeout-ms :uint32) (read :pointer))
  "Reads exactly LEN bytes, or says how many.")
(define-function %stream-finish status ((stream handle))
  "Ends our direction; reading goes on.")
(define-function %stream-close status ((stream handle))
  "Closes a stream.")
(define-function %stream-peer status
    ((stream handle) (buf :pointer) (cap :size) (len :pointer))
  "Copies the peer's address.")
(define-function %stream-fd status ((stream handle) (fd :pointer))
  "The stream's descriptor, which stays the library's.")
(define-function %stream-detach status ((stream handle) (fd :pointer))
  "Takes the stream's descriptor out of the library.")
(define-function %stream-set-user-data status ((stream handle) (user-data :pointer))
  "Keeps a pointer of the program's own beside a stream.")
(define-function %stream-user-data status ((stream handle) (user-data :pointer))
  "The pointer that the program keeps beside a stream.")
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
  "How long ago anything came from a peer.")
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
  "Finds the transports that answer first.")

;;; statistics
(define-function %get-stats status ((transport handle) (stats :pointer))
  "Reads the statistics.")
(define-function %reset-stats status ((transport handle))
  "Sets the counts to 0.")
(define-function %stream-get-stats status ((stream handle) (stats :pointer))
  "Reads the statistics of one stream.")
