# demo.sh: a murder on loopback: m (the MUPDATE master), be1 and be2 (backends), fe1 (the frontend).
# Part of ./quickstart.

DEMO=${IATLAS_DEMO:-/var/tmp/iatlas-demo-$(id -un)}
PASSWORD=secret
USERS="anna ben carla dirk" # anna and ben live on be1, carla and dirk on be2
declare -A ADDRESS=([m]=127.0.0.2 [be1]=127.0.0.3 [be2]=127.0.0.4 [fe1]=127.0.0.1)

busy() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# free_port ADDRESS PORT WHAT: the first port from PORT on that nobody listens on, in $PORT_FOUND.
free_port() {
    local port=$2
    while busy "$1" "$port"; do
        say "port $port of $1 ($3) is busy, trying $((port + 1))"
        port=$((port + 1))
    done
    PORT_FOUND=$port
}

choose_ports() {
    free_port 127.0.0.2 3905 "MUPDATE on m"; MUPDATE_PORT=$PORT_FOUND
    free_port 127.0.0.3 1143 "IMAP on be1"; BE1_IMAP=$PORT_FOUND
    free_port 127.0.0.4 1143 "IMAP on be2"; BE2_IMAP=$PORT_FOUND
    free_port 127.0.0.3 2003 "LMTP on be1"; BE1_LMTP=$PORT_FOUND
    free_port 127.0.0.4 2003 "LMTP on be2"; BE2_LMTP=$PORT_FOUND
    free_port 127.0.0.1 3905 "MUPDATE on fe1"; FE_MUPDATE=$PORT_FOUND
    free_port 127.0.0.1 1143 "IMAP on fe1"; FE_IMAP=$PORT_FOUND
    free_port 127.0.0.1 1993 "IMAP over TLS on fe1"; FE_IMAPS=$PORT_FOUND
    free_port 127.0.0.1 2003 "LMTP on fe1"; FE_LMTP=$PORT_FOUND
    BE1=127.0.0.3:$BE1_IMAP BE2=127.0.0.4:$BE2_IMAP
}

# write_node NAME SERVERNAME: the lines that every imapd.conf here has; more are appended by the caller.
write_node() {
    local dir=$DEMO/$1
    mkdir -p "$dir/config" "$dir/spool"
    cat >"$dir/imapd.conf" <<END
servername: $2
configdirectory: $dir/config
admins: cyrus
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: $dir/sasldb2
sasl_mech_list: PLAIN LOGIN SCRAM-SHA-256
log_target: file:$dir/log
db_map_size: 4G
END
    [ "$(id -u)" != 0 ] || echo "cyrus_user: mail" >>"$dir/imapd.conf"
}

write_mupdate_client() {
    cat >>"$DEMO/$1/imapd.conf" <<END
mupdate_server: 127.0.0.2
mupdate_port: $MUPDATE_PORT
mupdate_username: murder
mupdate_authname: murder
mupdate_password: $PASSWORD
mupdate_retry_delay: 1
END
}

write_master() {
    write_node m 127.0.0.2
    sed -i 's/^admins: cyrus$/admins: cyrus murder/' "$DEMO/m/imapd.conf"
    cat >"$DEMO/m/cyrus.conf" <<END
START    { recover cmd="ctl_cyrusdb -r" }
SERVICES { mupdate cmd="mupdate -m" listen="127.0.0.2:$MUPDATE_PORT" prefork=1 }
EVENTS   { checkpoint cmd="ctl_cyrusdb -c" period=30 }
END
}

# write_backend NAME ADDRESS IMAP-PORT LMTP-PORT
write_backend() {
    write_node "$1" "$2:$3"
    write_mupdate_client "$1"
    cat >>"$DEMO/$1/imapd.conf" <<END
partition-default: $DEMO/$1/spool
proxyservers: murder
lmtp_admins: murder
END
    cat >"$DEMO/$1/cyrus.conf" <<END
START {
    recover     cmd="ctl_cyrusdb -r"
    mupdatepush cmd="ctl_mboxlist -m"
}
SERVICES {
    imap cmd="imapd" listen="$2:$3" prefork=1
    lmtp cmd="lmtpd" listen="$2:$4" prefork=1
}
EVENTS   { checkpoint cmd="ctl_cyrusdb -c" period=30 }
END
}

write_frontend() {
    write_node fe1 127.0.0.1:$FE_IMAP
    write_mupdate_client fe1
    cat >>"$DEMO/fe1/imapd.conf" <<END
proxy_authname: murder
proxy_password: $PASSWORD
serverlist: $BE1 $BE2
defaultserver: $BE1
127_0_0_3_${BE1_IMAP}_lmtp_port: $BE1_LMTP
127_0_0_4_${BE2_IMAP}_lmtp_port: $BE2_LMTP
tls_server_cert: $DEMO/fe1/tls.pem
tls_server_key: $DEMO/fe1/tls.pem
allowstarttls: yes
END
    cat >"$DEMO/fe1/cyrus.conf" <<END
START    { recover cmd="ctl_cyrusdb -r" }
SERVICES {
    mupdate cmd="mupdate"       listen="127.0.0.1:$FE_MUPDATE" prefork=1
    imap    cmd="proxyd"        listen="127.0.0.1:$FE_IMAP"    prefork=1
    imaps   cmd="proxyd -s"     listen="127.0.0.1:$FE_IMAPS"   prefork=1
    lmtp    cmd="lmtpproxyd -a" listen="127.0.0.1:$FE_LMTP"    prefork=1
}
EVENTS   { checkpoint cmd="ctl_cyrusdb -c" period=30 }
END
    openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$DEMO/fe1/key.pem" -out "$DEMO/fe1/cert.pem" 2>/dev/null
    (umask 077 && cat "$DEMO/fe1/key.pem" "$DEMO/fe1/cert.pem" >"$DEMO/fe1/tls.pem")
    rm "$DEMO/fe1/key.pem"
}

add_passwords() {
    local node user
    for node in m be1 be2 fe1; do
        for user in cyrus murder $USERS; do
            printf %s "$PASSWORD" |
                saslpasswd2 -p -c -f "$DEMO/$node/sasldb2" -u "${ADDRESS[$node]}" "$user"
        done
    done
    [ "$(id -u)" != 0 ] || chown -R mail:mail "$DEMO"/{m,be1,be2,fe1}
}

demo_start_node() {
    local dir=$DEMO/$1 i
    rm -f "$dir/ready"
    "$DEMO/inst/libexec/master" -C "$dir/imapd.conf" -M "$dir/cyrus.conf" -p "$dir/pid" -r "$dir/ready" -d \
        2>>"$dir/stderr" || die "$1 did not start: see $dir/log and $dir/stderr"
    for i in $(seq 100); do
        [ ! -e "$dir/ready" ] || return 0
        sleep 0.1
    done
    die "$1 is not ready after 10 s: see $dir/log and $dir/stderr"
}

demo_stop() {
    local node pid i
    for node in fe1 be1 be2 m; do
        pid=$(cat "$DEMO/$node/pid" 2>/dev/null) || continue
        kill -TERM "$pid" 2>/dev/null || continue
        for i in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        say "stopped $node"
    done
}

# imap USER FOLDER [CURL-OPTION ...]: curl against the frontend.
imap() {
    local user=$1 folder=$2
    shift 2
    curl -sS --max-time 30 "$@" -u "$user:$PASSWORD" "imap://127.0.0.1:$FE_IMAP/$folder" | tr -d '\r'
}

imap_show() {
    say "   $1 says: $3"
    imap "$1" "$2" -X "$3" | sed 's/^/      /'
}

demo_mailboxes() {
    step "mailboxes, made by the administrator at the frontend"
    local user
    for user in anna ben; do imap_show cyrus "" "CREATE user/$user $BE1"; done
    for user in carla dirk; do imap_show cyrus "" "CREATE user/$user $BE2"; done
    imap_show cyrus "" "CREATE team $BE2"
    imap_show cyrus "" "SETACL team anyone lrswipte"
    imap_show cyrus "" "LIST \"\" *"
}

demo_deliver() {
    step "two messages by LMTP through the frontend, four recipients on both backends in one transaction each"
    local subject
    for subject in "Lunch on Friday" "Minutes of the meeting"; do
        swaks --protocol LMTP --server 127.0.0.1:$FE_LMTP --from boss@example.org \
            --to anna,ben,carla,dirk --header "Subject: $subject" --body "$subject: please read." |
            sed -n 's/^<-  \(.*SESSIONID=<.*\)/      \1/p' | grep -v '^ *250 Ok'
    done
}

demo_read() {
    step "reading at the frontend"
    imap_show anna "" "STATUS INBOX (MESSAGES UNSEEN)"
    imap_show carla INBOX "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)"
    say "   carla reads message 1:"
    imap carla "INBOX;MAILINDEX=1" | grep -E '^(From|Subject)|please' | sed 's/^/      /'
}

demo_copy() {
    step "copying between backends: anna (be1) copies into the shared folder (be2), carla reads it there"
    imap_show anna "" 'LIST "" *'
    imap_show anna INBOX 'COPY 1:2 "Shared Folders/team"'
    imap_show carla "Shared%20Folders%2Fteam" "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)"
    say "   carla reads message 2:"
    imap carla "Shared%20Folders%2Fteam;MAILINDEX=2" | grep -E '^(From|Subject)|please' | sed 's/^/      /'
}

demo_where() {
    step "where everything lies: the frontend's copy of the master's list (ctl_mboxlist -d)"
    "$DEMO/inst/sbin/ctl_mboxlist" -C "$DEMO/fe1/imapd.conf" -d |
        python3 -c 'import json,sys
for n, r in sorted(json.load(sys.stdin).items()): print("      %-16s %s" % (n, r.get("server", "")))'
}

demo_instructions() {
    cat <<END

== the murder is running

   A mail client:   IMAP 127.0.0.1 port $FE_IMAP (no encryption or STARTTLS), or port $FE_IMAPS (TLS; the
                    certificate is self-signed: $DEMO/fe1/cert.pem)
   Users:           $USERS; administrator: cyrus.  Password of all: $PASSWORD
   New mail:        swaks --protocol LMTP --server 127.0.0.1:$FE_LMTP --to anna,carla
   Nodes:           m 127.0.0.2, be1 $BE1, be2 $BE2, fe1 127.0.0.1:$FE_IMAP
   Configuration:   $DEMO/{m,be1,be2,fe1}/{imapd,cyrus}.conf
   Logs:            $DEMO/{m,be1,be2,fe1}/log
   Try:             stop a backend: kill \$(cat $DEMO/be2/pid) -- anna does not notice, carla gets NO [UNAVAILABLE]
   Stop:            ./quickstart stop
END
}

demo() {
    need_packages $BUILD_PACKAGES $RUN_PACKAGES $DEMO_PACKAGES
    demo_stop
    rm -rf "$DEMO"
    mkdir -p "$DEMO"
    step "building (the log is $DEMO/build.log)"
    configure_and_make build --prefix="$DEMO/inst" -- >"$DEMO/build.log" 2>&1 || {
        tail -n 20 "$DEMO/build.log"
        die "the build failed"
    }
    make -s -C build install prefix="$DEMO/inst" >>"$DEMO/build.log" 2>&1 || die "make install failed: $DEMO/build.log"
    step "starting m, be1, be2, fe1"
    choose_ports
    write_master
    write_backend be1 127.0.0.3 "$BE1_IMAP" "$BE1_LMTP"
    write_backend be2 127.0.0.4 "$BE2_IMAP" "$BE2_LMTP"
    write_frontend
    add_passwords
    local node
    for node in m be1 be2 fe1; do demo_start_node $node; done
    demo_mailboxes
    demo_deliver
    demo_read
    demo_copy
    demo_where
    demo_instructions
}
