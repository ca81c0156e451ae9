-- For wrk: a POST with a JSON body of about 300 bytes, the size of a signed heartbeat.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"nodeId":"node-1","timestamp":1700000000000,"version":"0.1.0","height":123456,"signature":"ed25519_sig_' .. string.rep("0a", 64) .. '","pad":"' .. string.rep("x", 60) .. '"}'
