<?php
// SPDX-License-Identifier: Apache-2.0
// Under PHP-FPM, mod_php or CGI: shows the session, if its header is genuine and fresh.
function base64url(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}

function base62(string $digits): int
{
    $alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
    $number = 0;
    foreach (str_split($digits) as $digit) {
        $number = 62 * $number + strpos($alphabet, $digit);
    }
    return $number;
}

/** The session that a header of mod_django_session holds; null: not genuine, or too old. */
function django_session(string $header, string $secret, int $max_age): ?array
{
    if (substr_count($header, ':') !== 2) {
        return null;
    }
    [$payload, $time, $signature] = explode(':', $header);
    $key = hash('sha256', 'mod_django_session.headersigner' . $secret, true);
    $expected = base64url(hash_hmac('sha256', "$payload:$time", $key, true));
    if (!hash_equals($expected, $signature) || time() - base62($time) > $max_age) {
        return null;
    }
    return json_decode(base64_decode(strtr($payload, '-_', '+/')), true);
}

$secret = rtrim(file_get_contents('/srv/site/secret-key'), "\n");
$session = django_session($_SERVER['HTTP_DJANGO_SESSION'] ?? '', $secret, 30);
if ($session === null) {
    http_response_code(403);
    exit('Not signed by the site, or too old.');
}
header('Content-Type: application/json');
echo json_encode((object) $session);
