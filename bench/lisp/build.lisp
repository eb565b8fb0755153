;;;; Saves the program into the file given as the last argument.

(require "asdf")

(asdf:initialize-source-registry
 `(:source-registry (:directory ,(merge-pathnames "../../lisp/" *load-truename*))
                    :inherit-configuration))
(asdf:load-system "dcf-thunderbolt")
(dolist (name '("package" "messages" "streams" "main"))
  (load (merge-pathnames (concatenate 'string name ".lisp") *load-truename*)))
(sb-ext:save-lisp-and-die (first (last sb-ext:*posix-argv*))
                          :executable t
                          :save-runtime-options t
                          :toplevel (find-symbol "MAIN" "DCF-THUNDERBOLT/BENCH"))
