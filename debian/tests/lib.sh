# Sourced by the tests here: a web service, and the shipped configuration with a proxy for it.
page=$AUTOPKGTEST_TMP/page

begin() {
    mkdir -p "$AUTOPKGTEST_TMP/site"
    echo 'through the tunnel' >"$AUTOPKGTEST_TMP/site/index.html"
    python3 -m http.server --bind 127.0.0.1 --directory "$AUTOPKGTEST_TMP/site" 8090 >/dev/null 2>&1 &
    web=$!
    trap 'kill $web; systemctl --no-pager status frps frpc || true' EXIT
    grep -q '^\[autopkgtest\]' /etc/frp/frpc.ini || cat >>/etc/frp/frpc.ini <<'INI'

[autopkgtest]
type = tcp
local_port = 8090
remote_port = 6090
INI
    systemctl restart frps frpc
}

# The page comes through, within a minute.
flows() {
    for _ in $(seq 60); do
        if curl --silent --fail --max-time 5 --output "$page" http://127.0.0.1:6090/; then
            grep -q 'through the tunnel' "$page"
            return
        fi
        sleep 1
    done
    echo "nothing came through the tunnel"
    return 1
}
