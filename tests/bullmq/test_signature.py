"""Real errors fall into the causes that a person would name, and different causes stay apart."""

from __future__ import annotations

# A signature at the margin, below it what must come to it; deeper lines continue the one above.
CAUSES = """
connect ECONNREFUSED <address>
    connect ECONNREFUSED 10.0.0.7:5432
    connect ECONNREFUSED ::1:6379
    connect ECONNREFUSED [2001:db8::7]:443
    connect ECONNREFUSED localhost:5432
    connect ECONNREFUSED redis-1.internal:6379
    connect ECONNREFUSED redis:6379
connect EHOSTUNREACH <address> - Local (<address>)
    connect EHOSTUNREACH 10.0.0.7:443 - Local (192.168.1.4:51234)
    connect EHOSTUNREACH fe80::1:443 - Local (:::0)
connect ENOENT <path>
    connect ENOENT /var/run/postgresql/.s.PGSQL.5432
    connect ENOENT /tmp/redis.sock
getaddrinfo ENOTFOUND <address>
    getaddrinfo ENOTFOUND api.stripe.com
    getaddrinfo ENOTFOUND postgres
querySrv ETIMEOUT <address>
    querySrv ETIMEOUT _mongodb._tcp.cluster0.ab1cd.mongodb.net
    querySrv ETIMEOUT _mongodb._tcp.cluster1.zz9.mongodb.net
write EPROTO <hex>:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:\
../deps/openssl/openssl/ssl/record/rec_layer_s3.c:<n>:SSL alert number 40
    write EPROTO C0C7E4A9F87F0000:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake
        failure:../deps/openssl/openssl/ssl/record/rec_layer_s3.c:1605:SSL alert number 40
    write EPROTO 80A231F8B57F0000:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake
        failure:../deps/openssl/openssl/ssl/record/rec_layer_s3.c:1590:SSL alert number 40
Hostname/IP does not match certificate's altnames: Host: <address>. is not in the cert's altnames: \
DNS:<address>
    Hostname/IP does not match certificate's altnames: Host: api.example.com. is not in the cert's
        altnames: DNS:example.com
    Hostname/IP does not match certificate's altnames: Host: b.example.org. is not in the cert's
        altnames: DNS:*.example.net, DNS:example.net, IP Address:10.0.0.1
Timeout of <n>ms exceeded
    Timeout of 5000ms exceeded
    Timeout of 30000ms exceeded
    Timeout of 1.5ms exceeded
Task timed out after <n> seconds
    Task timed out after 900.10 seconds
    Task timed out after 3 seconds
Request failed with status code 404
    Request failed with status code 404
    \x1b[31mRequest failed with status code 404\x1b[39m
Response code 503 (Service Unavailable)
    Response code 503 (Service Unavailable)
request to <url> failed, reason: connect ETIMEDOUT <address>
    request to https://api.example.com/v1/users/17?full=1 failed, reason: connect ETIMEDOUT
        10.1.2.3:443
    request to http://10.0.0.4:8080/ failed, reason: connect ETIMEDOUT 10.0.0.4:8080
404 Client Error: Not Found for url: <url>
    404 Client Error: Not Found for url: https://api.example.com/v1/users/17
    404 Client Error: Not Found for url: https://api.example.com/v1/users/alice
POST <url> 502 (Bad Gateway)
    POST https://hooks.example.com/a 502 (Bad Gateway)
    POST https://hooks.example.org/b/c 502 (Bad Gateway)
Unexpected server response: 502
    Unexpected server response: 502
Cannot POST /v1/customers/<id>/charges
    Cannot POST /v1/customers/cus_18/charges
    Cannot POST /v1/customers/cus_NffrFeUfNV2Hib/charges
duplicate key value violates unique constraint "users_email_key"
    duplicate key value violates unique constraint "users_email_key"
duplicate key value violates unique constraint "UQ_97672ac88f789774dd47f7c8be3"
    duplicate key value violates unique constraint "UQ_97672ac88f789774dd47f7c8be3"
null value in column "email" of relation "users" violates not-null constraint
    null value in column "email" of relation "users" violates not-null constraint
relation "events_<n>_05" does not exist
    relation "events_2024_05" does not exist
    relation "events_2025_05" does not exist
invalid input syntax for type uuid: <quoted>
    invalid input syntax for type uuid: "alice"
    invalid input syntax for type uuid: "17"
Process <n> waits for ShareLock on transaction <n>; blocked by process <n>.
    Process 123 waits for ShareLock on transaction 4567; blocked by process 89.
    Process 99999 waits for ShareLock on transaction 1; blocked by process 2.
insert into "orders" (<quoted>) values (<n>) - deadlock detected
    insert into "orders" ("id", "total", "note") values (1, 2, 3) - deadlock detected
    insert into "orders" ("id", "total") values (10, 20), (30, 40) - deadlock detected
Key (email)=(<quoted>) already exists.
    Key (email)=(bob@example.com) already exists.
    Key (email)=(Bob Smith) already exists.
ER_DUP_ENTRY: Duplicate entry <quoted> for key 'users.email'
    ER_DUP_ENTRY: Duplicate entry 'bob@example.com' for key 'users.email'
    ER_DUP_ENTRY: Duplicate entry '17-4' for key 'users.email'
SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry <quoted> for key 'PRIMARY'
    SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry '5' for key 'PRIMARY'
    SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry 'a b' for key 'PRIMARY'
ERROR 1205 (HY000): Lock wait timeout exceeded; try restarting transaction
    ERROR 1205 (HY000): Lock wait timeout exceeded; try restarting transaction
Access denied for user <quoted>@<quoted> (using password: YES)
    Access denied for user 'app'@'10.0.0.3' (using password: YES)
    Access denied for user 'root'@'172.17.0.1' (using password: YES)
E11000 duplicate key error collection: shop.users index: email_1 dup key: { email: <quoted> }
    E11000 duplicate key error collection: shop.users index: email_1 dup key: { email: "a@b.io" }
    E11000 duplicate key error collection: shop.users index: email_1 dup key: { email: "x" }
connection <n> to <address> closed
    connection 7 to 10.0.0.7:27017 closed
    connection 12 to cluster0-shard-00-01.ab1cd.mongodb.net:27017 closed
Cast to ObjectId failed for value <quoted> (type string) at path "_id" for model "User"
    Cast to ObjectId failed for value "abc" (type string) at path "_id" for model "User"
    Cast to ObjectId failed for value "17" (type string) at path "_id" for model "User"
Reached the max retries per request limit (which is <n>). Refer to "maxRetriesPerRequest" option \
for details.
    Reached the max retries per request limit (which is 20). Refer to "maxRetriesPerRequest" option
        for details.
MOVED <n> <address>
    MOVED 3999 127.0.0.1:6381
    MOVED 12 redis-2.internal:6379
ERR Error running script (call to <id>): @user_script:<n>: boom
    ERR Error running script (call to f_4b2f0a1f8f3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e): @user_script:12: boom
    ERR Error running script (call to f_ffffffff8f3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e): @user_script:7: boom
User: <arn> is not authorized to perform: s3:GetObject on resource: <arn>
    User: arn:aws:iam::123456789012:user/bob is not authorized to perform: s3:GetObject on resource:
        arn:aws:s3:::invoices/2024/1.pdf
Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: <id>; \
S3 Extended Request ID: <id>; Proxy: null)
    Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID:
        4442587FB7D0A2F9; S3 Extended Request ID: MzRISOwyjmnup4FB2B/c=; Proxy: null)
    Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID:
        ABCDEFABCDEFABCD; S3 Extended Request ID: ab+c/d; Proxy: null)
No such customer: <quoted>
    No such customer: 'cus_18'
    No such customer: 'cus_NffrFeUfNV2Hib'
No such charge: <id>
    No such charge: ch_3P2654fb44
    No such charge: ch_3MmlLrLkdIwHu7ix0snN0B15
    No such charge: ch_NffrFeUfNVaHib
Order <id> was shipped on <time>
    Order order-44955 was shipped on 2024-05-01
    Order order-7 was shipped on 2024-05-01T12:34:56.789Z
    Order ord_9f8a7b6c was shipped on Wed May 01 2024 12:34:56 GMT+0000 (Coordinated Universal Time)
    Order 01ARZ3NDEKTSV4RRFFQ69G5FAV was shipped on Wed, 01 May 2024 12:34:56 GMT
    Order V1StGXR8_Z5jdHi6B-myT was shipped on 05/01/2024
User <n> not found
    User 17 not found
    User 1,234,567 not found
User <uuid> not found
    User 5f07aeb4-3e07-4f84-be27-905074e61db7 not found
    User DA52B99A-712A-436A-8FC5-E2E4B4E290A8 not found
User <hex> not found
    User 64b8f0c2e1d3a4b5c6d7e8f9 not found
    User 0x7f12ab not found
    User sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 not found
user with id <id> not found
    user with id 17 not found
    user with id k3x9 not found
    user with id 64b8f0c2e1d3a4b5c6d7e8f9 not found
items.<n>.price of <email> must be at least <n>%
    items.0.price of bob@example.com must be at least 10%
    items.12.price of b.o-b+tag@mail.example.co.uk must be at least 2.5%
Unexpected token '<', <quoted>... is not valid JSON
    Unexpected token '<', "<!DOCTYPE "... is not valid JSON
    Unexpected token '<', "<html>"... is not valid JSON
Unexpected token < in JSON at position <n>
    Unexpected token < in JSON at position 0
    Unexpected token < in JSON at position 17
Expected ',' or ']' after array element in JSON at position <n> (line <n> column <n>)
    Expected ',' or ']' after array element in JSON at position 42 (line 3 column 7)
Cannot read properties of undefined (reading 'id')
    Cannot read properties of undefined (reading 'id')
ENOENT: no such file or directory, open <quoted>
    ENOENT: no such file or directory, open '/tmp/upload_123.csv'
    ENOENT: no such file or directory, open 'C:\\Users\\bob\\a b.csv'
Cannot find module './charge'
    Cannot find module './charge'
Missing lock for job <id>. moveToFinished
    Missing lock for job 123. moveToFinished
    Missing lock for job send:alice. moveToFinished
    Missing lock for job repeat:ab12:1700000000000. moveToFinished
could not renew lock for job <id>
    could not renew lock for job 12
    could not renew lock for job a.b
child bull:emails:<id> failed
    child bull:emails:12 failed
    child bull:emails:welcome-alice failed
    child bull:emails:repeat:2a:1700000000000 failed
[Errno 111] Connection refused
    [Errno 111] Connection refused
HTTPSConnectionPool(host=<quoted>, port=<n>): Read timed out. (read timeout=<n>)
    HTTPSConnectionPool(host='api.example.com', port=443): Read timed out. (read timeout=30)
    HTTPSConnectionPool(host='b.example.com', port=8443): Read timed out. (read timeout=5.0)
'NoneType' object has no attribute 'get'
    'NoneType' object has no attribute 'get'
user_id
    'user_id'
java.lang.NullPointerException: Cannot invoke "String.length()" because <quoted> is null
    java.lang.NullPointerException: Cannot invoke "String.length()" because "<local1>" is null
    java.lang.NullPointerException: Cannot invoke "String.length()" because "<local7>" is null
dial tcp: lookup <address> on <address>: no such host
    dial tcp: lookup api.example.com on 10.0.0.2:53: no such host
    dial tcp: lookup redis on 127.0.0.11:53: no such host
read tcp <address>-><address>: read: connection reset by peer
    read tcp 10.0.0.1:51234->10.0.0.2:443: read: connection reset by peer
    read tcp [::1]:1->[::1]:443: read: connection reset by peer
x509: certificate has expired or is not yet valid: current time <time> is after <time>
    x509: certificate has expired or is not yet valid: current time 2024-05-01T00:00:00Z is after
        2024-04-01T10:11:12+02:00
context deadline exceeded after <n>s
    context deadline exceeded after 30s
    context deadline exceeded after 1m30.5s
14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED <address>
    14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED 10.0.0.1:50051
550 5.1.1 <<email>>: Recipient address rejected: User unknown
    550 5.1.1 <bob@example.com>: Recipient address rejected: User unknown
    550 5.1.1 <a.b@example.org>: Recipient address rejected: User unknown
Invalid login: 535-5.7.8 Username and Password not accepted.
    Invalid login: 535-5.7.8 Username and Password not accepted.
GraphQL error: Variable "$id" got invalid value <quoted>; Expected type "ID"
    GraphQL error: Variable "$id" got invalid value "17"; Expected type "ID"
    GraphQL error: Variable "$id" got invalid value "x y"; Expected type "ID"
Connection error: connect ETIMEDOUT <address> (broker: <address>, attempt <n>)
    Connection error: connect ETIMEDOUT 10.0.0.3:9092 (broker: kafka-1.internal:9092, attempt 3)
429 Rate limit reached for gpt-4o in organization <id> on tokens per min (TPM): Limit <n>, Used <n>, \
Requested <n>. Please try again in <time>.
    429 Rate limit reached for gpt-4o in organization org-uOtiSEwvUnroadaOnJJquBEC on tokens per min
        (TPM): Limit 30000, Used 29937, Requested 385. Please try again in 644ms.
    429 Rate limit reached for gpt-4o in organization org-gvAzf6Q9pR7y2UAiI9owd3LF on tokens per min
        (TPM): Limit 30000, Used 9, Requested 85. Please try again in 6m1.2s.
529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":<quoted>}
    529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_011C"}
    529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_9Zb"}
exited with code 137 after <n>s
    exited with code 137 after 12s
    exited with code 137 after 3.25s
"items[<n>].price" is required
    "items[300].price" is required
    "items[1200].price" is required
订单<n>不存在
    订单123不存在
    订单99不存在
"""
