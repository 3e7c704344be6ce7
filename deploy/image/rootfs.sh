#!/bin/sh
# Makes the whole content of an image that has one program and what that needs: no shell, no package manager.
#
#     rootfs.sh PROGRAM FOLDER
#
# The program becomes /usr/bin/onewrite, beside its shared libraries where the loader finds them, the authorities that
# TLS trusts, and a user without rights.
set -eu
program=$1 folder=$2

mkdir -p "$folder/usr/bin" "$folder/etc/ssl/certs" "$folder/tmp"
chmod 1777 "$folder/tmp"
cp "$program" "$folder/usr/bin/onewrite"
strip "$folder/usr/bin/onewrite"

# The loader's path is fixed in the program; whatever it finds goes to the one folder that it looks into by itself.
loader=$(ldd "$program" | sed -n 's/^[[:space:]]*\(\/[^ ]*ld-linux[^ ]*\) .*/\1/p')
libraries=/usr/lib/$(basename "$(dirname "$(ldd "$program" | sed -n 's/.*libc\.so\.6 => \([^ ]*\) .*/\1/p')")")
mkdir -p "$folder$(dirname "$loader")" "$folder$libraries"
cp -L "$loader" "$folder$loader"
ldd "$program" | sed -n 's/.* => \([^ ]*\) .*/\1/p' | while read -r library; do
    cp -L "$library" "$folder$libraries/"
done
# Names of hosts are looked up by libc itself; this says in what order.
printf 'passwd: files\ngroup: files\nhosts: files dns\n' > "$folder/etc/nsswitch.conf"
cp -L /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
printf 'onewrite:x:10001:10001::/:/nonexistent\n' > "$folder/etc/passwd"
printf 'onewrite:x:10001:\n' > "$folder/etc/group"
